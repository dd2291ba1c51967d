package mongoconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	wire "go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

const (
	// reachWithin bounds how long opening looks for a server, unless the URL says
	// otherwise (serverSelectionTimeoutMS): a wrong host should be told at once.
	// Later operations wait as long as the driver does, which a failover needs.
	reachWithin = 5 * time.Second
	// closeWithin bounds the good-bye.
	closeWithin = 15 * time.Second
)

// Settings change a connection, for tests.
type Settings struct {
	// Now replaces the server's clock.
	Now func() time.Time
	// Dialer replaces how connections are made.
	Dialer options.ContextDialer
	// Point is called after each write.
	Point func(name string)
}

// Conn is a connection to a database. It is safe for concurrent use.
type Conn struct {
	Target
	DB *mongo.Database // reads and writes by the primary, writes by a majority

	client *mongo.Client
	clock  clock
	noun   string
	fixed  func() time.Time // replaces clock
	within time.Duration    // see reachWithin
}

// Connect makes the client, which connects by itself. noun ("queue") is what errors
// call the thing behind the URL; a password file is relative to dir. What
// correctness rests on overrides the URL: the primary answers, a majority writes,
// and a write that a lost connection left in doubt is tried again under its number.
func (t Target) Connect(noun, dir string, set Settings) (*Conn, error) {
	if err := t.readPassword(dir); err != nil {
		return nil, err
	}
	c := &Conn{Target: t, noun: noun, fixed: set.Now, within: reachWithin}
	journal := true
	o := options.Client().ApplyURI(t.URI).SetRetryWrites(true).SetReadPreference(readpref.Primary()).
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal})
	if o.AppName == nil {
		o.SetAppName("waybill")
	}
	if o.ServerSelectionTimeout != nil {
		c.within = *o.ServerSelectionTimeout
	}
	if set.Dialer != nil {
		o.SetDialer(set.Dialer)
	}
	if set.Point != nil {
		o.SetMonitor(crashPoints(set.Point))
	}
	if t.passwordFile != "" && o.Auth != nil {
		o.Auth.Password, o.Auth.PasswordSet = t.secret, true
	}
	err := o.Validate()
	if err == nil {
		c.client, err = mongo.Connect(o)
	}
	if err != nil && (t.secret != "" || t.private != nil) {
		// A parser quotes what it could not read, and that may be a piece of
		// the password.
		err = errors.New("the driver refuses the connection string; its reason is withheld because it may quote the password")
	}
	if err != nil {
		return nil, t.bad("%s: %w", t.Shown, err)
	}
	c.DB = c.client.Database(t.Name)
	return c, nil
}

// crashPoints calls point after each write, in the goroutine that waits for its
// answer.
func crashPoints(point func(string)) *wire.CommandMonitor {
	return &wire.CommandMonitor{Succeeded: func(_ context.Context, e *wire.CommandSucceededEvent) {
		switch e.CommandName {
		case "insert", "update", "delete", "findAndModify":
			point(e.CommandName + ": written")
		}
	}}
}

// Reach finds the primary and takes its time, or says soon that there is none.
func (c *Conn) Reach(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	err := c.clock.sync(within, c.DB)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if _, code, _ := c.classify(err); code != c.noun+timedOut && code != c.noun+unreachable {
		return c.Fail("", err)
	}
	return &pipeline.Error{Kind: pipeline.Unavailable, Code: c.noun + unreachable,
		Hint: "is the server running, are hosts, port and replicaSet right, does it want TLS (tls=true)?",
		Err:  fmt.Errorf("%s: no primary answered within %v: %w", c.Shown, c.within, c.Hide(err))}
}

// SyncClock takes the server's time again. Between two looks Now runs on this
// machine's monotonic clock.
func (c *Conn) SyncClock(ctx context.Context) error {
	if c.fixed != nil {
		return nil
	}
	return c.clock.sync(ctx, c.DB)
}

// Now is the server's time.
func (c *Conn) Now() time.Time {
	if c.fixed != nil {
		return c.fixed()
	}
	return c.clock.now()
}

// Confirmed is a collection that reads only what no failover can undo.
func Confirmed(c *mongo.Collection) *mongo.Collection {
	return c.Clone(options.Collection().SetReadConcern(readconcern.Majority()))
}

// Close ends the connections.
func (c *Conn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if err := c.client.Disconnect(ctx); err != nil {
		return fmt.Errorf("%s: close: %w", c.Shown, c.Hide(err))
	}
	return nil
}
