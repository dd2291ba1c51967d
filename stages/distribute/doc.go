// Package distribute is the stage that spreads claimed items over lanes.
//
// What comes in: an item and how many items each lane has. What goes out: a
// pipeline.Placement, a lane and perhaps a key that runs once at a time there.
// Nothing is pushed: the engine's carriers pull from their lanes, prefer a key
// that they handled last, and steal the oldest item of the longest lane when
// their own are empty. The package knows nothing of carriers and queues.
//
//	distribute: { lanes: 4, by: key, key: item.meta.host }
package distribute
