package nats_test

import (
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// TestCrashPoints kills a process between every two of its writes.
func TestCrashPoints(t *testing.T) {
	claimtest.CrashPoints(t, func(t testing.TB) claimtest.Store {
		url := startServer(t, t.TempDir()).ClientURL()
		return newStore(url, url)
	}, func(location string, o pipeline.QueueOptions, point func(string)) (pipeline.Queue, error) {
		return open(nats.Driver(nats.WithPoints(point)), location, o)
	})
}
