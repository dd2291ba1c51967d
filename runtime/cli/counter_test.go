package cli

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func TestCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		c := counter{w: &b, what: "exported", on: true}
		for n := range int64(1000) {
			c.show(n)
			time.Sleep(time.Millisecond)
		}
		c.end()
		if want := "\r\x1b[K0 exported\r\x1b[K250 exported\r\x1b[K500 exported\r\x1b[K750 exported\r\x1b[K"; b.String() != want {
			t.Errorf("%q", b.String())
		}
		b.Reset()
		c = counter{w: &b, what: "exported"}
		c.show(1)
		c.end()
		if b.Len() > 0 {
			t.Errorf("not on a terminal: %q", b.String())
		}
	})
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		end := waitingOn(&b, "drop")
		time.Sleep(2500 * time.Millisecond)
		end()
		if want := "\r\x1b[Kdrop: 1s\r\x1b[Kdrop: 2s\r\x1b[K"; b.String() != want {
			t.Errorf("%q", b.String())
		}
	})
}
