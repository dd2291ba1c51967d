package cdp_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/waybill-dev/waybill/cdp"
)

// Two groups wait for one place: they take turns, each in its own order, however
// long the queue of the other is.
func TestGateIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := cdp.NewGate(1, 10)
		life := t.Context()
		if err := g.Enter(life, life, "a"); err != nil {
			t.Fatal(err)
		}
		var order []string
		wait := func(ctx context.Context, group, name string) {
			go func() {
				if g.Enter(ctx, life, group) == nil {
					order = append(order, name)
					g.Leave()
				}
			}()
			synctest.Wait()
		}
		ctx, giveUp := context.WithCancel(life)
		wait(life, "a", "a1")
		wait(ctx, "a", "gone")
		wait(life, "a", "a2")
		wait(life, "a", "a3")
		wait(life, "b", "b1")
		wait(life, "b", "b2")
		giveUp()
		synctest.Wait()
		g.Leave()
		synctest.Wait()
		if want := []string{"a1", "b1", "a2", "b2", "a3"}; !slices.Equal(order, want) {
			t.Errorf("served %v, want %v", order, want)
		}
		if n := g.Places(); n != 1 {
			t.Errorf("%d places are free", n)
		}
	})
}

func TestGateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := cdp.NewGate(1, 1)
		ctx, cancel := context.WithCancel(t.Context())
		if err := g.Enter(ctx, t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- g.Enter(ctx, t.Context(), "") }()
		synctest.Wait()
		if err := g.Enter(ctx, t.Context(), ""); !errors.Is(err, cdp.ErrSaturated) {
			t.Errorf("the second waiter: %v", err)
		}
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled wait: %v", err)
		}
		g.Leave()
		if n := g.Places(); n != 1 {
			t.Errorf("%d places are free", n)
		}
	})
}

// A gate that is shut for want of memory lets one in when nobody is inside.
func TestShutGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := cdp.NewGate(3, 10)
		life := t.Context()
		g.SetShut(true)
		if err := g.Enter(life, life, ""); err != nil {
			t.Fatal(err)
		}
		entered := 0
		for range 2 {
			go func() {
				if g.Enter(life, life, "") == nil {
					entered++
				}
			}()
		}
		synctest.Wait()
		if entered != 0 {
			t.Errorf("%d entered beside another", entered)
		}
		g.Leave()
		synctest.Wait()
		if entered != 1 {
			t.Errorf("%d entered an empty place", entered)
		}
		g.SetShut(false)
		synctest.Wait()
		if entered != 2 {
			t.Errorf("%d entered the open gate", entered)
		}
	})
}

func TestMemoryHysteresis(t *testing.T) {
	for _, c := range []struct {
		shut         bool
		used, budget int64
		want         bool
	}{
		{false, 99, 100, false}, {false, 101, 100, true}, {true, 95, 100, true}, {true, 90, 100, false}, {false, 5, 0, false},
	} {
		if got := cdp.TooFull(c.shut, c.used, c.budget); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestEndpointsAreChecked(t *testing.T) {
	const id = "/devtools/browser/0b2b2a56-8cf7-4c4a-a4e4-4ad8e6d0a6ef"
	for address, fine := range map[string]bool{
		"ws://127.0.0.1:9222" + id:            true,
		"ws://[::1]:9222" + id:                true,
		"ws://localhost:9222" + id:            true,
		"wss://browsers.example/?token=abc":   true,
		"wss://browsers.example" + id:         true,
		"ws://browsers.example" + id:          false,
		"ws://10.0.0.1:9222" + id:             false,
		"ws://127.0.0.1:9222/":                false,
		"ws://127.0.0.1:9222/devtools/page/1": false,
		"wss://browsers.example/":             false,
		"http://127.0.0.1:9222" + id:          false,
		"ws://%zz":                            false,
	} {
		if err := cdp.CheckEndpoint(address); (err == nil) != fine || err != nil && !errors.Is(err, cdp.ErrEndpoint) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
