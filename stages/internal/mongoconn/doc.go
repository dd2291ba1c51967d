// Package mongoconn is what the queue and the object store of a MongoDB database
// share: from a URL to a connection, and from an error to what people can do.
//
// What comes in is a URL of the scheme mongodb, with options of our own that begin
// with "waybill.":
//
//	mongodb://a,b,c/jobs?replicaSet=rs0&waybill.passwordFile=secret
//
// Where to look:
//
//   - Parse takes it apart (target.go): our options go to whoever has them, the rest
//     to go.mongodb.org/mongo-driver/v2. What a Target shows has no credentials.
//   - Connect makes the client under the terms that both rest on (conn.go): the
//     primary answers, a majority writes, and lost answers are asked for again.
//   - Now is the time of the primary, which clock.go follows.
//   - EnsureIndexes creates indexes and looks whether they are as they must be
//     (indexes.go): unique ones carry correctness.
//   - Fail gives an error of the server its kind, code and hint, and keeps
//     passwords out of it (errors.go).
//
// The package knows neither items nor objects.
package mongoconn
