//go:build !wasip1

package kernel

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
)

// Host is the world of a native build: what tests put in place of the real
// host. A nil function is a capability that is not granted.
type Host struct {
	Log      func(level Level, message string)
	Count    func(id uint32, delta int64)
	HTTP     func(r Request) (Response, error)
	Blob     func(digest string) ([]byte, error)
	Secret   func(name string) (string, error)
	State    func(key string) ([]byte, error)
	PutState func(key string, value []byte) error
}

// world is a global for the reason that module is one.
var world Host

// SetHost makes h the world of handlers that run natively and returns the one
// before. Tests that call it do not run in parallel.
func SetHost(h Host) (before Host) {
	before, world = world, h
	return before
}

func hostLog(level Level, s string) {
	if world.Log != nil {
		world.Log(level, s)
		return
	}
	fmt.Fprintf(os.Stderr, "kernel log %d: %s\n", level, s)
}

func hostFail(code int32, s string) { fmt.Fprintf(os.Stderr, "kernel fail %d: %s\n", code, s) }

func hostCounter(id uint32, delta int64) {
	if world.Count != nil {
		world.Count(id, delta)
		return
	}
	fmt.Fprintf(os.Stderr, "kernel counter %d: %+d\n", id, delta)
}

// hostHTTP takes and gives the bytes of the ABI, so that tests see what the
// host would.
func hostHTTP(request []byte) ([]byte, error) {
	if world.HTTP == nil {
		return nil, ErrNotGranted
	}
	n := binary.LittleEndian.Uint32(request)
	var r Request // its fields are the keys of the head but for their case
	if err := json.Unmarshal(request[4:4+n], &r); err != nil {
		return nil, err
	}
	r.Body = request[4+n:]
	response, err := world.HTTP(r)
	if err != nil {
		return nil, err
	}
	headers, err := json.Marshal(response.Headers)
	if err != nil {
		return nil, err
	}
	if response.Headers == nil {
		headers = nil
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(response.Status))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(headers)))
	return append(append(b, headers...), response.Body...), nil
}

func hostBlob(digest string) ([]byte, error) {
	if world.Blob == nil {
		return nil, ErrNotGranted
	}
	return world.Blob(digest)
}

func hostSecret(name string) ([]byte, error) {
	if world.Secret == nil {
		return nil, ErrNotGranted
	}
	s, err := world.Secret(name)
	return []byte(s), err
}

func hostState(key string) ([]byte, error) {
	if world.State == nil {
		return nil, ErrNotGranted
	}
	return world.State(key)
}

func hostPutState(key string, value []byte) error {
	if world.PutState == nil {
		return ErrNotGranted
	}
	return world.PutState(key, value)
}
