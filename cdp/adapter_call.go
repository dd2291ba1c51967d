package cdp

import (
	"context"

	"github.com/chromedp/cdproto"
	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/cdp/jsonv2"
)

// command is one of some that are sent together.
type command struct {
	on     *link
	method string
	params any
	result any   // where the answer is decoded to; nil: nowhere
	most   int64 // bytes of the answer; 0: maxAnswer
}

// with makes a command. result may be nil.
func with[P, R any](on *link, c proto.Command[P, R], params P, result *R) command {
	k := command{on: on, method: c.Method, params: params}
	if result != nil {
		k.result = result
	}
	return k
}

// Call sends a command and waits for the answer. The error is the browser's
// (*cdproto.Error), errDetached, errConnection, *TooLargeError or the context's.
// It implements proto.Session.
func (l *link) Call(ctx context.Context, method string, params, result any) error {
	return l.conn.run(ctx, command{on: l, method: method, params: params, result: result})
}

// run sends commands in one piece and waits for all answers. Chrome runs those of
// one session one after the other, also if one fails.
func (c *conn) run(ctx context.Context, commands ...command) error {
	calls, err := c.send(ctx, commands, true)
	if err != nil {
		return err
	}
	// The last is mostly answered last, so that one wait does for all.
	for i := len(calls) - 1; i >= 0; i-- {
		if failed := c.wait(ctx, calls[i], commands[i].result); failed != nil {
			err = failed // the first command's counts
		}
	}
	return err
}

// post sends commands whose answers nobody reads.
func (c *conn) post(ctx context.Context, commands ...command) error {
	_, err := c.send(ctx, commands, false)
	return err
}

func (c *conn) wait(ctx context.Context, k *call, result any) error {
	select {
	case a := <-k.answer:
		if a.err != nil || result == nil {
			return a.err
		}
		return jsonv2.Unmarshal(a.message.Result, result, lenient)
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.calls, k.id)
		return ctx.Err()
	}
}

// send writes commands. It waits for its turn, but not for a browser that does
// not read.
func (c *conn) send(ctx context.Context, commands []command, answers bool) ([]*call, error) {
	messages := make([]*cdproto.Message, len(commands))
	for i, k := range commands {
		params, err := jsonv2.Marshal(k.params, lenient)
		if err != nil {
			return nil, err
		}
		messages[i] = &cdproto.Message{SessionID: k.on.id, Method: cdproto.MethodType(k.method), Params: params}
	}
	select {
	case c.writing <- struct{}{}:
	case <-c.life.Done():
		return nil, c.lost()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	calls, err := c.register(messages, commands, answers)
	if err != nil {
		<-c.writing
		return nil, err
	}
	rest, err := c.transport.write(messages)
	if rest == nil {
		<-c.writing
	} else {
		go func() {
			rest()
			<-c.writing
		}()
	}
	if err != nil {
		_ = c.transport.Close() // so that the reader ends too
		<-c.life.Done()
		return nil, c.lost()
	}
	return calls, nil
}

// register numbers messages and, if answers are wanted, expects them.
func (c *conn) register(messages []*cdproto.Message, commands []command, answers bool) (calls []*call, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		return nil, c.lost()
	}
	for _, k := range commands {
		select {
		case <-k.on.gone:
			return nil, errDetached
		default:
		}
	}
	for i, m := range messages {
		c.last++
		m.ID = c.last
		if !answers {
			continue
		}
		k := &call{id: m.ID, link: commands[i].on, most: commands[i].most, answer: make(chan answered, 1)}
		if k.most == 0 {
			k.most = maxAnswer
		}
		c.calls[k.id] = k
		calls = append(calls, k)
	}
	return calls, nil
}
