package mongodb_test

import (
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

func TestCrashPoints(t *testing.T) {
	claimtest.CrashPoints(t, newStore, func(location string, o pipeline.QueueOptions, point func(string)) (pipeline.Queue, error) {
		return open(mongodb.Driver(mongodb.WithPoints(point)), location, o)
	})
}
