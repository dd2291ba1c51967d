package mongodb

import (
	"math/rand/v2"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// keylessLanes are the lanes above pipeline.QueueLanes, for items without a key.
// They are anybody's; more than one keeps claims apart (waybill.lanes).
const keylessLanes = 16

// laneOf is the lane of a new item. Items of one key share one.
func laneOf(key string) int32 {
	if key == "" {
		return pipeline.QueueLanes + rand.Int32N(keylessLanes)
	}
	return int32(pipeline.LaneOf(key))
}

// lanes returns those that a claim may take from, nil for all. Of spread equal
// parts only the one of that turn is meant; spread 1 means the whole.
func (q *Queue) lanes(turn, spread uint32) bson.A {
	set := pipeline.AllLanes
	if q.opt.Lanes != nil {
		set = q.opt.Lanes()
	}
	if set == pipeline.AllLanes && spread <= 1 {
		return nil
	}
	out := bson.A{}
	for lane := range uint32(pipeline.QueueLanes + keylessLanes) {
		mine := lane >= pipeline.QueueLanes || set.Has(int(lane))
		if mine && lane%spread == turn%spread {
			out = append(out, int32(lane))
		}
	}
	return out
}
