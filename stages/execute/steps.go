package execute

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/waybill-dev/waybill/pipeline"
)

// Steps are steps in order: a list, or the name of a file with a recording made
// by the Recorder of Chrome's DevTools (JSON), relative to the pipeline file.
type Steps []Step

// UnmarshalNode reads the list, or the recording that is named.
func (s *Steps) UnmarshalNode(n *pipeline.Node) {
	if n.Kind() == pipeline.KindScalar && n.IsString() {
		s.recording(n)
		return
	}
	var list []Step
	n.Decode(&list)
	*s = list
	for i, item := range n.Items() {
		if i > 0 && i < len(list) && list[i-1].Name == "close" {
			item.Problem("after-close", "make close the last step", "the page is closed before this step")
		}
	}
}

// maxRecording is the largest recording that is read, in bytes.
const maxRecording = 1 << 20

// recording reads the steps of a recording. It is not part of the pipeline's
// own text, so each item's evidence names it (see stage.go).
func (s *Steps) recording(n *pipeline.Node) {
	name := n.Text()
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(n.Pos().File), path)
	}
	src, err := readRecording(path)
	if err != nil {
		n.Problem(pipeline.CodeUnreadable, "name a recording that was exported as JSON, relative to this file", "the recording %q cannot be read: %v", name, err)
		return
	}
	if problem := plainJSON(src); problem != "" {
		n.Problem("bad-recording", "export it from the Recorder as JSON", "%s: %s", name, problem)
		return
	}
	if root := n.Include(path, yamlText(src)); root != nil {
		*s = decodeRecording(root, name, pipeline.DigestOf(src))
	}
}

// readRecording reads a regular file that is not too large.
func readRecording(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, pathless(err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRecording+1))
}

// Forms says that the name of a file may stand in place of the list.
func (Steps) Forms() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[[]Step](), reflect.TypeFor[string]()}
}
