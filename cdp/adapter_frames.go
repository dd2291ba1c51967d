package cdp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/accessibility"
	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
)

const worldName = "waybill"

// isolatedWorldOf makes (or finds) our world in a frame's document, beside the
// page's own and out of its reach.
func (t *tab) isolatedWorldOf(ctx context.Context, frameID string) (int64, error) {
	r, err := proto.Call(ctx, t.target, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{
		FrameID: proto.FrameID(frameID), WorldName: worldName})
	return int64(r.ExecutionContextID), err
}

// frameOf returns the id of the frame whose element the handle is.
func (t *tab) frameOf(ctx context.Context, handle string) (string, error) {
	r, err := proto.Call(ctx, t.target, dom.DescribeNode, dom.DescribeNodeParams{ObjectID: runtime.RemoteObjectID(handle)})
	if err != nil {
		return "", err
	}
	if r.Node.FrameID == "" {
		return "", &SelectorError{fmt.Sprintf("<%s> is not a frame", strings.ToLower(r.Node.LocalName))}
	}
	return string(r.Node.FrameID), nil
}

// noSuchFrame reports that the page's own process does not know the frame.
func noSuchFrame(err error) bool {
	var e *cdproto.Error
	return errors.As(err, &e) && strings.Contains(e.Message, "No frame")
}

// foreignTab is a connection to a frame that another process draws.
type foreignTab struct {
	tab  *tab
	gone <-chan struct{} // closed when the frame has gone
}

// end gives the connection back. It waits for nothing but its turn to write.
func (f *foreignTab) end() {
	w := f.tab.wire
	defer w.conn.detach(f.tab.target.id)
	_ = w.conn.post(w.conn.life, with(w.browser, target.DetachFromTarget, target.DetachFromTargetParams{SessionID: f.tab.target.id}, nil))
}

// attach opens a connection of its own to a frame. The caller ends it.
func (t *tab) attach(ctx context.Context, frameID string) (*foreignTab, error) {
	l, err := t.wire.attach(ctx, frameID)
	if err != nil {
		return nil, err
	}
	inside := &tab{wire: t.wire, contextID: t.contextID, targetID: frameID, target: l}
	return &foreignTab{inside, l.gone}, nil
}

// maxAX bounds how many elements of one accessible name are looked at.
const maxAX = 20

// queryAX returns the elements below root that have this accessible name and
// role (each if given), as handles in a world.
func (t *tab) queryAX(ctx context.Context, root string, world int64, name, role string) ([]string, error) {
	r, err := proto.Call(ctx, t.target, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{
		ObjectID: runtime.RemoteObjectID(root), AccessibleName: name, Role: role})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range r.Nodes {
		if n.Ignored || n.BackendDOMNodeID == 0 || textRole(n.Role) || len(out) == maxAX {
			continue
		}
		o, err := proto.Call(ctx, t.target, dom.ResolveNode, dom.ResolveNodeParams{
			BackendNodeID: n.BackendDOMNodeID, ExecutionContextID: runtime.ExecutionContextID(world)})
		if err != nil {
			return nil, err
		}
		out = append(out, string(o.Object.ObjectID))
	}
	return out, nil
}

// textRole reports the roles of bare text, which have their parent's name.
func textRole(v *accessibility.Value) bool {
	if v == nil {
		return false
	}
	role, _ := jsonString(v.Value)
	return role == "StaticText" || role == "InlineTextBox"
}

// pageNode returns the document of a world, as an object of the page's own world.
func (t *tab) pageNode(ctx context.Context, world int64) (string, error) {
	r, err := t.callFunction(ctx, on{world: world}, "() => document", false)
	if err != nil {
		return "", err
	}
	defer t.release(ctx, r.handle)
	n, err := proto.Call(ctx, t.target, dom.DescribeNode, dom.DescribeNodeParams{ObjectID: runtime.RemoteObjectID(r.handle)})
	if err != nil {
		return "", err
	}
	o, err := proto.Call(ctx, t.target, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: n.Node.BackendNodeID})
	if err != nil {
		return "", err
	}
	return string(o.Object.ObjectID), nil
}

// isolatedWorld is our world in the main document.
func (t *tab) isolatedWorld(ctx context.Context) (int64, error) {
	return t.isolatedWorldOf(ctx, t.targetID)
}
