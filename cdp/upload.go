package cdp

import (
	"context"
	"encoding/base64"
)

// File is a file that a page is given.
type File struct {
	// Name and media Type that the page is told.
	Name, Type string
	Data       []byte
}

// uploadChunk is how much of a file goes to the page at a time, in bytes.
const uploadChunk = 512 << 10

// Upload puts files into a file field, in parts; the browser needs no access to
// where they come from.
func (s *Session) Upload(ctx context.Context, field Locator, files []File) error {
	return s.do(ctx, "file field "+field.String()+" to take files", func(ctx context.Context) error {
		// The field may be hidden behind a button, so it only has to be there.
		if _, err := s.until(ctx, field, "wait", map[string]any{"state": Present, "ms": waits}); err != nil {
			return err
		}
		at, err := s.frame(ctx, field.Frame)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := s.send(ctx, at, f); err != nil {
				return err
			}
		}
		before := s.state()
		if _, err := s.until(ctx, field, "upload", map[string]any{}); err != nil {
			return err
		}
		return s.settle(ctx, before)
	})
}

// send brings one file into the page.
func (s *Session) send(ctx context.Context, at place, f File) error {
	arg := map[string]any{"name": f.Name, "type": f.Type}
	for data, first := f.Data, true; first || len(data) > 0; first = false {
		n := min(len(data), uploadChunk)
		arg["data"] = base64.StdEncoding.EncodeToString(data[:n])
		data = data[n:]
		var ok bool
		r, err := s.run(ctx, at, "file", arg, true)
		if err := decodeReply(r, err, &ok); err != nil {
			if s.staleAt(at, err) {
				err = errReplaced
			}
			return err
		}
		delete(arg, "name")
	}
	return nil
}
