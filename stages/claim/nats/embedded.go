package nats

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// errNoStore: there is no embedded store in the folder, and nobody asked for one.
var errNoStore = errors.New("the folder has no store")

// servers are the embedded servers of a driver, by folder.
type servers struct {
	mu      sync.Mutex
	running map[string]*embedded
}

// embedded is a server in this process. Nobody else can reach it.
type embedded struct {
	dir    string
	server *server.Server
	lock   *durable.Lock
	users  int
}

// lockFile keeps a second process out of the folder: the server itself does not
// notice, and both would write the same files.
const lockFile = "waybill.lock"

// join returns the server of a folder, started if need be.
func (s *servers) join(dir string, create bool) (*embedded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.running[dir]; e != nil {
		e.users++
		return e, nil
	}
	if _, err := os.Stat(filepath.Join(dir, lockFile)); errors.Is(err, os.ErrNotExist) && !create {
		return nil, errNoStore
	}
	e, err := startEmbedded(dir)
	if err == nil {
		s.running[dir] = e
	}
	return e, err
}

// leave ends the server after its last user.
func (s *servers) leave(e *embedded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.users--; e.users > 0 {
		return
	}
	delete(s.running, e.dir)
	e.server.Shutdown()
	e.server.WaitForShutdown()
	_ = e.lock.Close()
}

func startEmbedded(dir string) (*embedded, error) {
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := durable.OpenLock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	if free, err := lock.TryLock(); err != nil || !free {
		return nil, errors.Join(err, lock.Close(), inUse(dir))
	}
	srv, err := runServer(dir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &embedded{dir: dir, server: srv, lock: lock, users: 1}, nil
}

func inUse(dir string) error {
	return &pipeline.Error{Kind: pipeline.Unavailable, Code: "in-use", Err: errors.New("another process has the embedded server of " + dir),
		Hint: "one process at a time; several share a server: nats://host:4222"}
}

// runServer starts a server that flushes every write before it confirms it: its
// default confirms first and flushes every two minutes.
func runServer(dir string) (*server.Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "waybill", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir, SyncAlways: true, MaxPayload: minPayload,
	})
	if err != nil {
		return nil, err
	}
	srv.Start()
	if !srv.ReadyForConnections(patience) || !srv.JetStreamEnabled() {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, pipeline.Fail("embedded-server", "the embedded server did not start on %s within %v", dir, patience).
			WithHint("the folder must be writable and hold nothing but its store")
	}
	return srv, nil
}
