package gridfs

import (
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// file is a document of the files collection. The names of its fields, and those
// of a chunk, are of the GridFS specification.
type file struct {
	ID         bson.ObjectID   `bson:"_id"`
	Length     int64           `bson:"length"`
	ChunkSize  int32           `bson:"chunkSize"`
	UploadDate bson.DateTime   `bson:"uploadDate"`
	Filename   pipeline.Digest `bson:"filename"`
	Metadata   metadata        `bson:"metadata"`
}

type metadata struct {
	MediaType string `bson:"mediaType"`
}

// chunk is a document of the chunks collection.
type chunk struct {
	ID    bson.ObjectID `bson:"_id"`
	File  bson.ObjectID `bson:"files_id"`
	N     int32         `bson:"n"`
	Bytes []byte        `bson:"data"`
}

// entry is what is read of a file. Its id is of any type: other programs write
// files, too.
type entry struct {
	ID       bson.RawValue   `bson:"_id"`
	Length   int64           `bson:"length"`
	Filename pipeline.Digest `bson:"filename"`
}

// is reports whether the file has that id.
func (e entry) is(id bson.ObjectID) bool {
	own, ok := e.ID.ObjectIDOK()
	return ok && own == id
}

// idKey makes an id of any type a key of a map.
func idKey(id bson.RawValue) string { return string(rune(id.Type)) + string(id.Value) }

// filesIndexes: the unique one decides which of two writers' files is the object.
// It serves what the index of the specification, on filename and uploadDate, is
// for as well: there is one file of a name.
var filesIndexes = []mongoconn.Index{{Name: "waybill_object", Keys: bson.D{{Key: "filename", Value: int32(1)}}, Unique: true}}

// chunksIndexes is the index of the specification, under the name that all drivers
// give it.
var chunksIndexes = []mongoconn.Index{{Name: "files_id_1_n_1", Keys: bson.D{{Key: "files_id", Value: int32(1)}, {Key: "n", Value: int32(1)}}, Unique: true}}

const indexHint = "a bucket of another program may have two files of one name: choose another with waybill.bucket; or give the user the right to create indexes"

// newFile is the object as a file, and the chunks of its bytes.
func newFile(id bson.ObjectID, b pipeline.Blob, now bson.DateTime) (f file, chunks []chunk) {
	const size = mongo.DefaultGridFSChunkSize
	f = file{ID: id, Length: int64(len(b.Data)), ChunkSize: size, UploadDate: now, Filename: b.Digest, Metadata: metadata{b.MediaType}}
	for n := 0; n*int(size) < len(b.Data); n++ {
		data := b.Data[n*int(size):]
		chunks = append(chunks, chunk{ID: bson.NewObjectID(), File: id, N: int32(n), Bytes: data[:min(len(data), int(size))]})
	}
	return f, chunks
}
