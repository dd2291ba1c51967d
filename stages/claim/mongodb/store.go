package mongodb

import (
	"log/slog"
	"time"

	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// store is the connection to a database and the collections in it.
type store struct {
	conn    *mongoconn.Conn
	at      target
	log     *slog.Logger
	items   *mongo.Collection
	queues  *mongo.Collection
	batches *mongo.Collection
	records *mongo.Collection
}

// newStore makes the client, which connects by itself.
func newStore(at target, dir string, log *slog.Logger, set mongoconn.Settings) (*store, error) {
	conn, err := at.Connect("queue", dir, set)
	if err != nil {
		return nil, err
	}
	named := func(name string) *mongo.Collection { return conn.DB.Collection(at.prefix + name) }
	return &store{conn: conn, at: at, log: log,
		items: named("items"), queues: named("queues"), batches: named("batches"), records: named("records")}, nil
}

// now is the store's time.
func (s *store) now() bson.DateTime { return bson.NewDateTimeFromTime(s.conn.Now()) }

// ago is the store's time that long ago.
func (s *store) ago(d time.Duration) bson.DateTime { return s.now() - bson.DateTime(d.Milliseconds()) }

// confirmed reads only what no failover can undo.
func (s *store) confirmed() *mongo.Collection { return mongoconn.Confirmed(s.items) }
