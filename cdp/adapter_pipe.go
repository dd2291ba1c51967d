package cdp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/target"
)

// pipe is the transport of Chrome's --remote-debugging-pipe: JSON messages, each
// with a zero byte at its end.
type pipe struct {
	out *os.File // the browser's answers
	in  *os.File // our commands

	reader *bufio.Reader
	long   []byte // a message that does not fit into the reader's buffer
	text   []byte // what is being written
}

// maxKept is how large a buffer may be that is kept for the next message.
const maxKept = 1 << 20

func newPipe(out, in *os.File) *pipe {
	return &pipe{out: out, in: in, reader: bufio.NewReaderSize(out, 64<<10)}
}

func (p *pipe) Close() error { return errors.Join(p.out.Close(), p.in.Close()) }

func (p *pipe) read(want func([]byte) (cdproto.Message, int64)) (*cdproto.Message, int64, error) {
	if cap(p.long) > maxKept {
		p.long = nil
	}
	for {
		part, err := p.reader.ReadSlice(0)
		if err != nil && err != bufio.ErrBufferFull {
			return nil, 0, err
		}
		m, most := want(part)
		size, raw := int64(len(part)), part
		if err != nil {
			if raw, size, err = p.readLong(part, most); err != nil {
				return nil, 0, err
			}
		}
		switch {
		case most == 0:
			continue
		case size > most:
			m.SessionID = sessionAtEnd(raw)
			return &m, size, nil
		}
		return &m, 0, jsonv2.Unmarshal(raw[:len(raw)-1], &m, lenient)
	}
}

// readLong reads the rest of a message that begins with head. Of one that is
// larger than most it keeps only the last part, and counts.
func (p *pipe) readLong(head []byte, most int64) (raw []byte, size int64, err error) {
	p.long = append(p.long[:0], head...)
	size, err = int64(len(head)), bufio.ErrBufferFull
	for err == bufio.ErrBufferFull {
		var part []byte
		part, err = p.reader.ReadSlice(0)
		if size += int64(len(part)); size > most {
			// Two parts, since the last one may be short.
			p.long = append(p.long[:0], p.long[max(0, len(p.long)-p.reader.Size()):]...)
		}
		p.long = append(p.long, part...)
	}
	return p.long, size, err
}

// sessionAtEnd finds the session of a message of which only the end is known;
// Chrome writes it there.
func sessionAtEnd(raw []byte) target.SessionID {
	const name = `"sessionId":"`
	i := bytes.LastIndex(raw, []byte(name))
	if i < 0 {
		return ""
	}
	id, _, _ := bytes.Cut(raw[i+len(name):], []byte{'"'})
	return target.SessionID(id)
}

func (p *pipe) write(messages []*cdproto.Message) (rest func(), err error) {
	if cap(p.text) > maxKept {
		p.text = nil
	}
	b := bytes.NewBuffer(p.text[:0])
	for _, m := range messages {
		text, err := jsonv2.Marshal(m, lenient)
		if err != nil {
			return nil, err
		}
		b.Write(text)
		b.WriteByte(0)
	}
	p.text = b.Bytes()
	n, err := p.offer(p.text)
	if err != nil || n == len(p.text) {
		return nil, err
	}
	return func() { _, _ = p.in.Write(p.text[n:]) }, nil
}

// offer writes as much as the pipe takes without waiting.
func (p *pipe) offer(text []byte) (n int, err error) {
	raw, err := p.in.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Write(func(fd uintptr) bool {
		n, err = syscall.Write(int(fd), text)
		return true
	})
	switch {
	case failed != nil:
		return 0, failed
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return 0, nil
	case err != nil:
		return 0, io.ErrClosedPipe
	}
	return n, nil
}
