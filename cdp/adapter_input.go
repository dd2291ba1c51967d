package cdp

import (
	"context"
	"time"

	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
)

// Mouse, touch and keys. Points are CSS pixels of the page's viewport.

// insertText enters text where the focus is, as an input method does.
func (t *tab) insertText(ctx context.Context, text string) error {
	_, err := proto.Call(ctx, t.target, input.InsertText, input.InsertTextParams{Text: text})
	return err
}

// buttons are the Recorder's names, with the bit in MouseEvent.buttons.
var buttons = map[Button]struct {
	button input.MouseButton
	bit    int64
}{
	Primary:   {input.MouseButtonLeft, 1},
	Secondary: {input.MouseButtonRight, 2},
	Auxiliary: {input.MouseButtonMiddle, 4},
	Back:      {input.MouseButtonBack, 8},
	Forward:   {input.MouseButtonForward, 16},
}

func (t *tab) mouse(ctx context.Context, p input.DispatchMouseEventParams) error {
	_, err := proto.Call(ctx, t.target, input.DispatchMouseEvent, p)
	return err
}

// moveTo moves the mouse.
func (t *tab) moveTo(ctx context.Context, p Point, modifiers int) error {
	return t.mouse(ctx, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: p.X, Y: p.Y,
		Button: input.MouseButtonNone, Modifiers: int64(modifiers)})
}

// clickAt moves the pointer to a point, presses and releases, as often as wanted.
func (t *tab) clickAt(ctx context.Context, p Point, c Click, modifiers int) error {
	if c.Device == "touch" {
		return t.tap(ctx, p, c, modifiers)
	}
	b := buttons[c.Button]
	e := input.DispatchMouseEventParams{X: p.X, Y: p.Y, Modifiers: int64(modifiers), Button: input.MouseButtonNone,
		Type: input.DispatchMouseEventTypeMouseMoved}
	if c.Device == "pen" {
		e.PointerType = input.DispatchMouseEventPointerTypePen
	}
	if err := t.mouse(ctx, e); err != nil {
		return err
	}
	e.Button = b.button
	for n := range c.Count {
		e.ClickCount = int64(n + 1)
		e.Type, e.Buttons = input.DispatchMouseEventTypeMousePressed, b.bit
		if err := t.mouse(ctx, e); err != nil {
			return err
		}
		if err := hold(ctx, c.Hold); err != nil {
			return err
		}
		e.Type, e.Buttons = input.DispatchMouseEventTypeMouseReleased, 0
		if err := t.mouse(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (t *tab) tap(ctx context.Context, p Point, c Click, modifiers int) error {
	for range c.Count {
		_, err := proto.Call(ctx, t.target, input.DispatchTouchEvent, input.DispatchTouchEventParams{
			Type: input.DispatchTouchEventTypeTouchStart, Modifiers: int64(modifiers), TouchPoints: []*input.TouchPoint{{X: p.X, Y: p.Y}}})
		if err != nil {
			return err
		}
		if err := hold(ctx, c.Hold); err != nil {
			return err
		}
		_, err = proto.Call(ctx, t.target, input.DispatchTouchEvent, input.DispatchTouchEventParams{
			Type: input.DispatchTouchEventTypeTouchEnd, Modifiers: int64(modifiers), TouchPoints: []*input.TouchPoint{}})
		if err != nil {
			return err
		}
	}
	return nil
}

func hold(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	return pause(ctx, d)
}

// keyDown presses a key; with Control, Alt or Meta held it types nothing.
func (t *tab) keyDown(ctx context.Context, k key, modifiers int) error {
	p := k.event(input.DispatchKeyEventTypeRawKeyDown, modifiers)
	if k.text != "" && modifiers&(alt|control|meta) == 0 {
		p.Type, p.Text, p.UnmodifiedText = input.DispatchKeyEventTypeKeyDown, k.text, k.text
	}
	_, err := proto.Call(ctx, t.target, input.DispatchKeyEvent, p)
	return err
}

func (t *tab) keyUp(ctx context.Context, k key, modifiers int) error {
	_, err := proto.Call(ctx, t.target, input.DispatchKeyEvent, k.event(input.DispatchKeyEventTypeKeyUp, modifiers))
	return err
}

func (t *tab) pressKey(ctx context.Context, k key, modifiers int) error {
	if err := t.keyDown(ctx, k, modifiers); err != nil {
		return err
	}
	return t.keyUp(ctx, k, modifiers)
}

func (k key) event(kind input.DispatchKeyEventType, modifiers int) input.DispatchKeyEventParams {
	pad := k.location == 3
	return input.DispatchKeyEventParams{Type: kind, Key: k.name, Code: k.code, Modifiers: int64(modifiers),
		WindowsVirtualKeyCode: int64(k.vk), NativeVirtualKeyCode: int64(k.vk), Location: int64(k.location), IsKeypad: &pad}
}
