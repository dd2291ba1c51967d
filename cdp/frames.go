package cdp

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// world is our isolated world in one document.
type world struct {
	loader string
	id     int64
	// ready: page.js is installed there.
	ready bool
}

// place is where an operation runs: our world in a document, and the frames
// around that document, the innermost first.
type place struct {
	tab    *tab
	world  *world
	around []frameElement
}

// frameElement is the element of a frame, in the document around it.
type frameElement struct {
	at     place
	handle string
}

// noFrameError says that a frame is not there (yet).
type noFrameError struct{ which string }

func (e *noFrameError) Error() string { return "there is no frame " + e.which }

var errNoFrame = errors.New("no frame")

func (e *noFrameError) Is(target error) bool { return target == errNoFrame }

// main is the main document.
func (s *Session) main(ctx context.Context) (place, error) {
	loader := s.events.state().loader
	if s.world.id == 0 || s.world.loader != loader {
		id, err := s.tab.isolatedWorld(ctx)
		if err != nil {
			return place{}, err
		}
		s.world = world{loader: loader, id: id}
	}
	return place{tab: s.tab, world: &s.world}, nil
}

// frame finds the document at the end of a path. It is looked up each time: any
// document on the way may have been replaced.
func (s *Session) frame(ctx context.Context, path []string) (place, error) {
	at, err := s.main(ctx)
	for i, which := range path {
		if err != nil {
			return place{}, err
		}
		var r reply
		if r, err = s.run(ctx, at, "frame", map[string]any{"which": which}, false); err != nil {
			return place{}, err
		}
		if r.exception != "" || r.handle == "" {
			return place{}, &noFrameError{strings.Join(path[:i+1], " > ")}
		}
		at, err = s.enter(ctx, at, r.handle)
	}
	return at, err
}

// enter is the document inside a frame's element.
func (s *Session) enter(ctx context.Context, at place, handle string) (place, error) {
	id, err := at.tab.frameOf(ctx, handle)
	if err != nil {
		return place{}, err
	}
	inside := place{tab: at.tab, around: append([]frameElement{{at, handle}}, at.around...)}
	number, err := at.tab.isolatedWorldOf(ctx, id)
	if noSuchFrame(err) {
		// Another process draws it (a document of another site).
		if inside.tab, err = s.foreign(ctx, id); err != nil {
			return place{}, err
		}
		number, err = inside.tab.isolatedWorldOf(ctx, id)
	}
	inside.world = &world{id: number}
	return inside, err
}

// foreign attaches to the document of a frame that another process draws.
func (s *Session) foreign(ctx context.Context, id string) (*tab, error) {
	if f := s.foreigners[id]; f != nil {
		select {
		case <-f.gone:
			f.end()
			delete(s.foreigners, id)
		default:
			return f.tab, nil
		}
	}
	f, err := s.tab.attach(ctx, id)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(s.life, f.end)
	if s.foreigners == nil {
		s.foreigners = map[string]*foreignTab{}
	}
	s.foreigners[id] = f
	return f.tab, nil
}

// outward turns a point of a document into one of the page's viewport. why says
// which frame is covered there (only with hit).
func (s *Session) outward(ctx context.Context, at place, x, y float64, hit bool) (px, py float64, why string, err error) {
	for _, o := range at.around {
		var a answer
		r, err := s.run(ctx, o.at, "outward", map[string]any{"x": x, "y": y, "hit": hit}, true, handle(o.handle))
		if err := decodeReply(r, err, &a); err != nil {
			return 0, 0, "", err
		}
		if !a.OK {
			return 0, 0, a.Why, nil
		}
		x, y = a.X, a.Y
	}
	return x, y, "", nil
}

// aria resolves the alternatives that only the browser's accessibility tree can
// find, to elements of the place. found tells page.js which of them belong to
// which alternative.
func (s *Session) aria(ctx context.Context, at place, chains [][]string) (found map[int][2]int, handles []any, err error) {
	found = map[int][2]int{}
	if err := s.reveal(ctx, at); err != nil {
		return nil, nil, err
	}
	for i, chain := range chains {
		if !isARIA(chain) {
			continue
		}
		list, err := s.ariaChain(ctx, at, chain)
		if err != nil {
			return nil, nil, err
		}
		found[i] = [2]int{len(handles), len(handles) + len(list)}
		for _, h := range list {
			handles = append(handles, handle(h))
		}
	}
	return found, handles, nil
}

// reveal scrolls the frames around a place into view: a document that is out of
// sight is not laid out, and its accessibility tree would be waited for.
func (s *Session) reveal(ctx context.Context, at place) error {
	for _, o := range slices.Backward(at.around) {
		var ok bool
		r, err := s.run(ctx, o.at, "reveal", map[string]any{}, true, handle(o.handle))
		if err := decodeReply(r, err, &ok); err != nil {
			return err
		}
	}
	return nil
}

// ariaChain follows a chain; of what a link finds before the last, the first
// counts.
func (s *Session) ariaChain(ctx context.Context, at place, chain []string) ([]string, error) {
	r, err := at.tab.callFunction(ctx, on{world: at.world.id}, "() => document", false)
	if err != nil {
		return nil, err
	}
	roots := []string{r.handle}
	for _, link := range chain {
		if len(roots) == 0 {
			return nil, nil
		}
		if strings.HasPrefix(link, ariaPrefix) {
			name, role, err := parseARIA(link)
			if err != nil {
				return nil, err
			}
			if roots, err = at.tab.queryAX(ctx, roots[0], at.world.id, name, role); err != nil {
				return nil, err
			}
			continue
		}
		r, err := s.run(ctx, at, "one", map[string]any{"chain": []string{link}}, false, handle(roots[0]))
		if err != nil {
			return nil, err
		}
		if r.exception != "" {
			return nil, exceptionError(r.exception)
		}
		if roots = nil; r.handle != "" {
			roots = []string{r.handle}
		}
	}
	return roots, nil
}
