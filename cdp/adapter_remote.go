package cdp

import (
	"context"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/chromedp/remote"
)

// socket is the transport to a browser that somebody else runs. Its messages are
// read as a whole, whatever their size.
type socket struct{ conn *remote.Conn }

// dial connects to a browser over a web socket.
func dial(ctx context.Context, address string) (*socket, error) {
	c, err := remote.DialContext(ctx, address)
	if err != nil {
		return nil, err
	}
	return &socket{c}, nil
}

func (s *socket) Close() error { return s.conn.Close() }

func (s *socket) read(func([]byte) (cdproto.Message, int64)) (*cdproto.Message, int64, error) {
	m := &cdproto.Message{}
	return m, 0, s.conn.Read(context.Background(), m)
}

func (s *socket) write(messages []*cdproto.Message) (rest func(), err error) {
	return func() {
		for _, m := range messages {
			if s.conn.Write(context.Background(), m) != nil {
				_ = s.Close() // so that the reader finds out
				return
			}
		}
	}, nil
}
