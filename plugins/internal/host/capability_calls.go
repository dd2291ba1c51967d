package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/capability"
)

// Fuel of capabilities: about what they cost the host, besides what every host
// function costs. What is not granted costs no more than that.
const (
	bytesPerUnit = 8     // that are moved for one unit
	httpUnits    = slice // so that it is paid before anything is sent
	blobUnits    = 10_000
)

// asks is a function of kernel/1 that takes some bytes and answers with others:
// (ptr, len, buf, cap) -> i64. It is told apart from the rest of its work so that
// all of them keep to one rule for pointers, fuel and answers.
type asks func(s *session, question []byte) (answer []byte, err error)

// call reads the question, lets f answer it and gives the answer to the guest.
// Both ranges are looked at before anything is done.
func (f asks) call(_ context.Context, s *session, m api.Memory, stack []uint64) error {
	question, err := view(m, stack[0], stack[1])
	if err != nil {
		return err
	}
	buf, err := view(m, stack[2], stack[3])
	if err != nil {
		return err
	}
	s.chargeBytes(len(question))
	answer, err := f(s, question)
	stack[0] = s.reply(buf, answer, err)
	return nil
}

// reply keeps the answer for rest, copies what fits, and returns the answer's
// length or a negative code. For an error the answer is its message.
func (s *session) reply(buf, answer []byte, err error) uint64 {
	if err != nil {
		s.answer = []byte(err.Error())
		s.denied(err)
		return uint64(capability.CodeOf(err))
	}
	s.chargeBytes(len(answer))
	s.answer = answer
	copy(buf, answer)
	return uint64(len(answer))
}

// denied tells the operator what was asked for in vain, within the log limit.
func (s *session) denied(err error) {
	if capability.CodeOf(err) != capability.Denied {
		return
	}
	if text := err.Error(); len(text)+logLine <= s.logLeft {
		s.logLeft -= len(text) + logLine
		s.kernel.Log.WarnContext(s.context.Context, "kernel was denied", "kernel", s.kernel.Name, "why", text)
	}
}

func (s *session) chargeBytes(n int) { s.tank.charge(int64(n) / bytesPerUnit) }

func view(m api.Memory, ptr, n uint64) ([]byte, error) {
	b, ok := m.Read(uint32(ptr), uint32(n))
	if !ok {
		return nil, fmt.Errorf("%d bytes at %d lie outside the memory", uint32(n), uint32(ptr))
	}
	return b, nil
}

func askHTTP(s *session, request []byte) ([]byte, error) {
	client := s.kernel.Grants.HTTP
	if client == nil {
		return nil, capability.NotGranted(capability.NameHTTP)
	}
	s.tank.charge(httpUnits)
	ctx, cancel := s.waiting()
	defer cancel()
	response, err := client.Do(ctx, request)
	if ctx.Err() != nil {
		s.checkTime()
	}
	return response, err
}

// waiting returns the context of a host function that waits for others: it ends
// with the caller's and with the time of the call.
func (s *session) waiting() (context.Context, context.CancelFunc) {
	s.checkTime()
	return context.WithDeadline(s.tank.ctx, s.tank.deadline)
}

// checkTime stops the guest if its time is over. The clock of a call starts the
// first time that it is looked at.
func (s *session) checkTime() {
	if stopped := s.tank.interrupted(); stopped != nil {
		panic(stopped)
	}
}

func askBlob(s *session, digest []byte) ([]byte, error) {
	if s.kernel.Grants.Blob == nil {
		return nil, capability.NotGranted(capability.NameBlob)
	}
	s.tank.charge(blobUnits)
	return s.kernel.Grants.Blob.Get(string(digest))
}

func askSecret(s *session, name []byte) ([]byte, error) { return s.kernel.Grants.Secret(string(name)) }

func askState(s *session, key []byte) ([]byte, error) {
	if s.state == nil {
		return nil, capability.NotGranted(capability.NameState)
	}
	return s.state.Get(key)
}

// hostStatePut is state_put(kptr, klen, vptr, vlen).
func hostStatePut(_ context.Context, s *session, m api.Memory, stack []uint64) error {
	key, keyErr := view(m, stack[0], stack[1])
	value, valueErr := view(m, stack[2], stack[3])
	if err := errors.Join(keyErr, valueErr); err != nil {
		return err
	}
	s.chargeBytes(len(key) + len(value))
	err := capability.NotGranted(capability.NameState)
	if s.state != nil {
		err = s.state.Put(key, value)
	}
	stack[0], s.answer = 0, nil
	if err != nil {
		stack[0], s.answer = uint64(capability.CodeOf(err)), []byte(err.Error())
		s.denied(err)
	}
	return nil
}

// hostRest is rest(from, buf, cap): it copies the last answer from an offset on.
func hostRest(_ context.Context, s *session, m api.Memory, stack []uint64) error {
	buf, err := view(m, stack[1], stack[2])
	if err != nil {
		return err
	}
	from := min(uint64(uint32(stack[0])), uint64(len(s.answer)))
	n := copy(buf, s.answer[from:])
	s.chargeBytes(n)
	stack[0] = uint64(n)
	return nil
}
