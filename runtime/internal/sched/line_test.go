package sched_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// TestNobodyPassesAfterTheEnd: contexts end one after the other. A flight that waited
// for another goes no further if that one made way because everything ends, also
// before its own context has ended.
func TestNobodyPassesAfterTheEnd(t *testing.T) {
	ring, permit := sched.NewRing(2), sched.NewPermit(1)
	for name, wait := range map[string]struct {
		line sched.Line
		hold func() (free func())
	}{
		"for its turn": {sched.Line{Stages: make([]sched.Stage, 1)}, func() func() { return func() { ring.Leave(0) } }},
		"for a permit": {sched.Line{First: -1, Stages: []sched.Stage{{Permit: permit}}}, func() func() {
			if !permit.TryAcquire() {
				t.Fatal("the permit is not free")
			}
			return permit.Release
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				life, end := context.WithCancelCause(t.Context())
				own, endOwn := context.WithCancelCause(t.Context()) // as one below life that is not told yet
				line := wait.line
				line.Life = life
				line.Stages[0].Run = func(context.Context, *sched.Flight) error {
					t.Error("it passed")
					return nil
				}
				free := wait.hold()
				f := &sched.Flight{Item: &pipeline.Item{}, Ctx: own, Turn: sched.NewTurn(ring, 1, nil)}
				done := make(chan error, 1)
				go func() { done <- line.Walk(f) }()
				synctest.Wait()
				end(errGone)
				free()
				synctest.Wait()
				endOwn(errGone)
				if err := <-done; !errors.Is(err, errGone) {
					t.Errorf("got %v", err)
				}
				if wait.line.First < 0 && !permit.TryAcquire() {
					t.Error("it kept the permit")
				}
			})
		})
	}
}
