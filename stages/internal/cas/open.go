package cas

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// Driver returns the driver for folders.
//
//	file:var/objects             the layout there, and its replicas if it has any
//	file:var/objects?copies=2    exactly two copies: there and in replicas/2
//	file:/disk1/o,file:/disk2/o  two places, as verify and blob take them
func Driver() pipeline.ObjectDriver {
	return pipeline.ObjectDriver{
		Scheme: "file",
		Doc:    "a folder in the OCI image layout",
		Open:   openFile,
	}
}

// Open opens a store of so many copies over the places that urls name. A single
// URL with several copies asks its driver for them (?copies=n); several URLs are
// places of one copy each. copies 0 means as many as the store has, for reading.
func Open(ctx context.Context, drivers []pipeline.ObjectDriver, urls []string, dir string, copies int, create bool) (pipeline.Objects, error) {
	if len(urls) == 1 {
		at := urls[0]
		if copies > 0 {
			at = withCopies(at, copies)
		}
		return openURL(ctx, drivers, at, dir, create)
	}
	var places []Place
	for _, u := range urls {
		objects, err := openURL(ctx, drivers, withCopies(u, 1), dir, create)
		if err != nil {
			return nil, errors.Join(err, closeAll(places))
		}
		places = append(places, Place{u, objects})
	}
	if copies == 0 {
		copies = len(places)
	}
	r, err := NewReplicated(places, copies)
	if err != nil {
		return nil, errors.Join(err, closeAll(places))
	}
	return r, nil
}

// SplitList cuts a comma-separated list of store URLs, as --store takes it, at
// the commas before a scheme; other commas belong to paths.
func SplitList(list string) []string {
	var urls []string
	for _, part := range strings.Split(list, ",") {
		if _, _, ok := pipeline.SplitURL(part); !ok && len(urls) > 0 {
			urls[len(urls)-1] += "," + part
			continue
		}
		urls = append(urls, part)
	}
	return urls
}

// FindDriver returns the driver of a URL's scheme.
func FindDriver(drivers []pipeline.ObjectDriver, at string) (pipeline.ObjectDriver, error) {
	scheme, _, ok := pipeline.SplitURL(at)
	i := slices.IndexFunc(drivers, func(d pipeline.ObjectDriver) bool { return d.Scheme == scheme })
	if ok && i >= 0 {
		return drivers[i], nil
	}
	var known []string
	for _, d := range drivers {
		known = append(known, d.Scheme+":")
	}
	return pipeline.ObjectDriver{}, fmt.Errorf("%q is not the URL of an object store (want %s..., for example file:var/objects)", at, strings.Join(known, " or "))
}

func openURL(ctx context.Context, drivers []pipeline.ObjectDriver, at, dir string, create bool) (pipeline.Objects, error) {
	d, err := FindDriver(drivers, at)
	if err != nil {
		return nil, err
	}
	return d.Open(ctx, at, dir, create)
}

func withCopies(at string, n int) string { return at + "?copies=" + strconv.Itoa(n) }

func openFile(ctx context.Context, at, dir string, create bool) (pipeline.Objects, error) {
	if urls := SplitList(at); len(urls) > 1 {
		return Open(ctx, []pipeline.ObjectDriver{Driver()}, urls, dir, 0, create)
	}
	base, copies, err := parseFileURL(at)
	if err != nil {
		return nil, err
	}
	root, err := pipeline.FilePath(base, dir)
	if err != nil {
		return nil, err
	}
	if copies == 0 {
		copies = countReplicas(root)
	}
	var places []Place
	for n := 1; n <= copies; n++ {
		sub := ""
		if n > 1 {
			sub = replicaDir(n)
		}
		l, err := OpenLayout(placeName(base, sub), filepath.Join(root, sub), create)
		if err != nil {
			return nil, errors.Join(err, closeAll(places))
		}
		places = append(places, Place{l.name, l})
	}
	return NewReplicated(places, copies)
}

// parseFileURL cuts the options off a URL.
func parseFileURL(at string) (base string, copies int, err error) {
	base, query, _ := strings.Cut(at, "?")
	options, err := url.ParseQuery(query)
	if err != nil {
		return "", 0, fmt.Errorf("%q: %w", at, err)
	}
	for name := range options {
		if name != "copies" {
			return "", 0, fmt.Errorf("%q: unknown option %q (a folder has only copies)", at, name)
		}
	}
	if n := options.Get("copies"); n != "" {
		if copies, err = strconv.Atoi(n); err != nil || copies < 1 {
			return "", 0, fmt.Errorf("%q: copies must be a positive number", at)
		}
	}
	return base, copies, nil
}

// placeName is the URL of a place as people wrote it, not as it was resolved.
func placeName(base, sub string) string {
	_, path, _ := pipeline.SplitURL(base)
	return "file:" + filepath.Join(strings.TrimPrefix(path, "//"), sub)
}

// Folders returns the folders in which a file URL keeps so many copies; nil if
// it is another.
func Folders(at string, copies int) []string {
	base, _, err := parseFileURL(at)
	scheme, path, _ := pipeline.SplitURL(base)
	if err != nil || scheme != "file" {
		return nil
	}
	root := filepath.Clean(strings.TrimPrefix(path, "//"))
	folders := []string{root}
	for n := 2; n <= copies; n++ {
		folders = append(folders, filepath.Join(root, replicaDir(n)))
	}
	return folders
}

func replicaDir(n int) string { return filepath.Join("replicas", strconv.Itoa(n)) }

// countReplicas finds how many copies a store was made with.
func countReplicas(root string) int {
	n := 1
	for {
		if _, err := os.Stat(filepath.Join(root, replicaDir(n+1), "oci-layout")); err != nil {
			return n
		}
		n++
	}
}

func closeAll(places []Place) error {
	var errs []error
	for _, p := range places {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
