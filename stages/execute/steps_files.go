package execute

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"mime"
	"os"
	"path"
	"path/filepath"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// upload puts files into a file field. They come from one folder, which stands
// in the pipeline file and which nothing in an item can leave.
type upload struct {
	element `yaml:",inline"`
	// Folder that the files come from, relative to the pipeline file.
	From string `yaml:"from" secret:"false"`
	// Files below that folder.
	Files []pipeline.Template `yaml:"files"`

	file string // the pipeline file
}

func (a *upload) check(n *pipeline.Node) {
	a.file = n.Pos().File
	if len(a.Files) == 0 {
		n.Lookup("files").Problem(pipeline.CodeEmptyValue, "", "there is no file to upload")
	}
	if info, err := os.Stat(a.folder()); err != nil || !info.IsDir() {
		n.Lookup("from").Problem(pipeline.CodeBadValue, "make it, relative to this file", "there is no folder %q", a.From)
	}
}

func (a *upload) folder() string {
	if filepath.IsAbs(a.From) {
		return a.From
	}
	return filepath.Join(filepath.Dir(a.file), a.From)
}

func (a *upload) run(ctx context.Context, v *visit) error {
	at, err := a.locator(v.item)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(a.folder())
	if err != nil {
		return pipeline.Fail("bad-upload", "open the folder of uploads: %v", pathless(err))
	}
	defer root.Close()
	files := make([]cdp.File, len(a.Files))
	left := v.limit()
	for i := range a.Files {
		name, err := a.Files[i].Text(v.item)
		if err != nil {
			return err
		}
		if files[i], err = readUpload(root, name, left); err != nil {
			return err
		}
		left -= int64(len(files[i].Data))
	}
	return v.session.Upload(ctx, at, files)
}

// readUpload reads a regular file inside the folder.
func readUpload(root *os.Root, name string, max int64) (cdp.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return cdp.File{}, pipeline.Fail("bad-upload", "upload %q: %v", name, pathless(err)).WithHint("name a file below the folder that from names")
	}
	if !info.Mode().IsRegular() {
		return cdp.File{}, pipeline.Fail("bad-upload", "upload %q: it is not a regular file", name)
	}
	if info.Size() > max {
		return cdp.File{}, &cdp.TooLargeError{What: "the upload " + name, Size: info.Size(), Most: max, Unit: "bytes"}
	}
	f, err := root.Open(name)
	if err != nil {
		return cdp.File{}, pipeline.Fail("bad-upload", "upload %q: %v", name, pathless(err))
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, max))
	if err != nil {
		return cdp.File{}, pipeline.Fail("bad-upload", "upload %q: %v", name, pathless(err))
	}
	return cdp.File{Name: path.Base(filepath.ToSlash(name)), Type: mime.TypeByExtension(filepath.Ext(name)), Data: raw}, nil
}

// pathless drops the path of this machine from an error.
func pathless(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// download keeps a file that the page gives as an artifact. It clicks what
// starts it, or opens a URL. Outside of this step downloads are denied.
type download struct {
	// Name of the artifact: report.csv.
	As pipeline.Template `yaml:"as"`
	// Alternatives for the element that starts the download when it is clicked.
	Selectors selectors `yaml:"selectors,optional"`
	// Frame that the element is in.
	Frame frame `yaml:"frame,optional"`
	// Address of the file, instead of an element.
	URL *pipeline.Template `yaml:"url,optional"`
	// Media type of the artifact; the default goes by the file's name.
	MediaType string `yaml:"mediaType,optional"`
}

func (a *download) check(n *pipeline.Node) {
	if (a.Selectors == nil) == (a.URL == nil) {
		n.Problem(pipeline.CodeMissingKey, "selectors: \"#export\"", "want exactly one of selectors and url")
	}
}

func (a *download) run(ctx context.Context, v *visit) error {
	name, err := artifactName(&a.As, v.item)
	if err != nil {
		return err
	}
	trigger, err := a.trigger(v)
	if err != nil {
		return err
	}
	d, err := v.session.Download(ctx, v.limit(), trigger)
	if err != nil {
		return err
	}
	media := a.MediaType
	for _, from := range []string{name, d.Name} {
		if media == "" {
			media = mime.TypeByExtension(path.Ext(from))
		}
	}
	if media == "" {
		media = pipeline.MediaBinary
	}
	return v.keep(name, media, d.Data)
}

// trigger is what starts the download.
func (a *download) trigger(v *visit) (func(context.Context) error, error) {
	if a.URL != nil {
		address, err := a.URL.Text(v.item)
		return func(ctx context.Context) error { return v.session.Fetch(ctx, address) }, err
	}
	at, err := a.Selectors.locator(a.Frame, v.item)
	return func(ctx context.Context) error { return v.session.Click(ctx, at, cdp.Click{}) }, err
}
