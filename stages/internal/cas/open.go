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
func Driver() pipeline.ObjectDriver {
	return pipeline.ObjectDriver{
		Scheme: "file",
		Doc:    "a folder in the OCI image layout",
		Copies: true,
		Open:   openFile,
	}
}

// WithLists returns the drivers such that each also opens a list of places, of any
// of the drivers, as verify and blob take it:
//
//	file:/disk1/objects,mongodb://a,b,c/jobs
func WithLists(drivers ...pipeline.ObjectDriver) []pipeline.ObjectDriver {
	listed := slices.Clone(drivers)
	for i, d := range drivers {
		listed[i].Check = func(at string) (string, error) { return checkList(drivers, at) }
		listed[i].Open = func(ctx context.Context, at, dir string, create bool) (pipeline.Objects, error) {
			if urls := SplitList(at); len(urls) > 1 {
				return Open(ctx, drivers, urls, dir, 0, create)
			}
			return d.Open(ctx, at, dir, create)
		}
	}
	return listed
}

// checkList checks each URL of a list, and lists what reports call the places.
func checkList(drivers []pipeline.ObjectDriver, list string) (string, error) {
	var places []string
	for _, u := range SplitList(list) {
		_, place, err := CheckURL(drivers, u)
		if err != nil {
			return "", err
		}
		places = append(places, place)
	}
	return strings.Join(places, ","), nil
}

// Open opens a store of so many copies over the places that urls name. A single
// URL with several copies asks its driver for them (?copies=n), if the driver has
// any; several URLs are places of one copy each. copies 0 means as many as the
// store has, for reading.
func Open(ctx context.Context, drivers []pipeline.ObjectDriver, urls []string, dir string, copies int, create bool) (pipeline.Objects, error) {
	if len(urls) == 1 {
		_, objects, err := openURL(ctx, drivers, urls[0], dir, copies, create)
		return objects, err
	}
	var places []Place
	for _, u := range urls {
		name, objects, err := openURL(ctx, drivers, u, dir, 1, create)
		if err != nil {
			return nil, errors.Join(err, closeAll(places))
		}
		places = append(places, Place{name, objects})
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
// the commas before a scheme; other commas belong to paths, or stand between the
// hosts of one URL.
func SplitList(list string) []string {
	var urls []string
	for _, part := range strings.Split(list, ",") {
		if _, _, ok := pipeline.SplitURL(part); len(urls) > 0 && (!ok || inHosts(urls[len(urls)-1])) {
			urls[len(urls)-1] += "," + part
			continue
		}
		urls = append(urls, part)
	}
	return urls
}

// inHosts reports whether a URL breaks off among its hosts: mongodb://a:27017.
func inHosts(url string) bool {
	_, rest, ok := strings.Cut(url, "://")
	return ok && !strings.Contains(rest, "/")
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

// CheckURL returns the driver of a URL and what reports call the place.
func CheckURL(drivers []pipeline.ObjectDriver, at string) (d pipeline.ObjectDriver, place string, err error) {
	d, err = FindDriver(drivers, at)
	if err != nil || d.Check == nil {
		return d, at, err
	}
	place, err = d.Check(at)
	return d, place, err
}

// openURL opens one URL. copies 0 leaves them to the driver.
func openURL(ctx context.Context, drivers []pipeline.ObjectDriver, at, dir string, copies int, create bool) (name string, o pipeline.Objects, err error) {
	d, name, err := CheckURL(drivers, at)
	if err != nil {
		return "", nil, err
	}
	switch {
	case d.Copies && copies > 0:
		at = withCopies(at, copies)
	case copies > 1:
		return "", nil, fmt.Errorf("%s: %d copies: %s", name, copies, NoCopies)
	}
	o, err = d.Open(ctx, at, dir, create)
	return name, o, err
}

// NoCopies says why a driver without copies is asked for none.
const NoCopies = "the place keeps its own copies, for a second one list a second place"

func withCopies(at string, n int) string {
	mark := "?"
	if strings.Contains(at, "?") {
		mark = "&"
	}
	return at + mark + "copies=" + strconv.Itoa(n)
}

func openFile(_ context.Context, at, dir string, create bool) (pipeline.Objects, error) {
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
	for name, values := range options {
		if name != "copies" {
			return "", 0, fmt.Errorf("%q: unknown option %q (a folder has only copies)", at, name)
		}
		if len(values) > 1 {
			return "", 0, fmt.Errorf("%q: copies twice; in a stage copies: says how many there are, in a list each place has one", at)
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
