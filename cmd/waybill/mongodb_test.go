package main

import (
	"context"

	"github.com/rogpeppe/go-internal/testscript"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/waybill-dev/waybill/internal/mongotest"
)

// startMongoDB starts an empty MongoDB wire server and sets $MONGODB to its URL,
// with a database: mongodb.
func startMongoDB(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: mongodb")
	}
	servers := new(mongotest.Servers)
	ts.Defer(servers.Close)
	addr, end, err := servers.Start()
	ts.Check(err)
	ts.Defer(end)
	ts.Setenv("MONGODB", "mongodb://"+addr+"/jobs")
}

// flipChunk changes one bit in the middle of a chunk of the bucket waybill_objects
// at $MONGODB, always the same: flipchunk.
func flipChunk(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: flipchunk")
	}
	ctx := context.Background()
	client, err := mongo.Connect(options.Client().ApplyURI(ts.Getenv("MONGODB")))
	ts.Check(err)
	defer client.Disconnect(ctx)
	chunks := client.Database("jobs").Collection("waybill_objects.chunks")
	var first struct {
		ID   bson.ObjectID `bson:"_id"`
		Data []byte        `bson:"data"`
	}
	ts.Check(chunks.FindOne(ctx, bson.M{}, options.FindOne().SetSort(bson.M{"_id": 1})).Decode(&first))
	first.Data[len(first.Data)/2] ^= 1
	_, err = chunks.UpdateByID(ctx, first.ID, bson.M{"$set": bson.M{"data": first.Data}})
	ts.Check(err)
}
