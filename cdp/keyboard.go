package cdp

import (
	"context"
	"fmt"
	"slices"
)

// keyboard is which keys are held down.
type keyboard struct{ down []key }

// modifiers is the bit field of the modifier keys that are held.
func (k *keyboard) modifiers() (bits int) {
	for _, d := range k.down {
		bits |= d.modifier()
	}
	return bits
}

// KeyDown presses a key and holds it. The page may react by navigating, which is
// waited for.
func (s *Session) KeyDown(ctx context.Context, name string) error {
	return s.keys(ctx, name, func(ctx context.Context, k key) error {
		s.held.down = append(s.held.down, k)
		return s.tab.keyDown(ctx, k, s.held.modifiers())
	})
}

// KeyUp lets go of a key.
func (s *Session) KeyUp(ctx context.Context, name string) error {
	return s.keys(ctx, name, func(ctx context.Context, k key) error {
		s.held.down = slices.DeleteFunc(s.held.down, func(d key) bool { return d.code == k.code })
		return s.tab.keyUp(ctx, k, s.held.modifiers())
	})
}

// Press presses and lets go of a key or of a combination such as Control+a.
func (s *Session) Press(ctx context.Context, combination string) error {
	names := splitKeys(combination)
	for _, name := range names {
		if err := s.KeyDown(ctx, name); err != nil {
			return err
		}
	}
	slices.Reverse(names)
	for _, name := range names {
		if err := s.KeyUp(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// Focus waits until the element is visible, at rest and enabled, and gives it the
// keyboard.
func (s *Session) Focus(ctx context.Context, element Locator) error {
	return s.do(ctx, "element "+element.String()+" to take the focus", func(ctx context.Context) error {
		if _, _, err := s.ready(ctx, element, needs{Enabled: true}, nil, false); err != nil {
			return err
		}
		_, err := s.until(ctx, element, "focusOn", map[string]any{})
		return err
	})
}

// keys does something with a key and waits for the page that it leads to.
func (s *Session) keys(ctx context.Context, name string, do func(context.Context, key) error) error {
	k, ok := findKey(name)
	if !ok {
		return &StateError{fmt.Sprintf("there is no key %q", name)}
	}
	return s.do(ctx, "key "+name, func(ctx context.Context) error {
		at, err := s.main(ctx)
		if err != nil && !stale(err) {
			return err
		}
		before := s.state()
		if err := do(ctx, k); err != nil {
			return err
		}
		if at.world != nil {
			if r, err := s.run(ctx, at, "settle", map[string]any{}, true); err != nil && !stale(err) {
				return err
			} else if r.exception != "" {
				return exceptionError(r.exception)
			}
		}
		return s.settle(ctx, before)
	})
}
