package pipeline

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/waybill-dev/waybill/pipeline/internal/node"
)

// Version is the version of the file format that this package reads.
const Version = "v1"

// document is a pipeline file as a config type.
type document struct {
	// Version of the file format: v1.
	Waybill string `yaml:"waybill"`
	// Name of the pipeline: letters, digits, dots, dashes and underscores.
	Name string `yaml:"name"`
	// Version of this pipeline: a number that grows with each change that is rolled out. On a queue the processes of an older version make way for those of a newer one.
	Version int `yaml:"version,optional" min:"1" max:"1000000000"`
	// How items run.
	Run RunConfig `yaml:"run,optional"`
	// The stages that every item goes through, in order. The first is the
	// source.
	Stages stageNodes `yaml:"stages"`
}

// stageNodes keeps the list of stages for the second step, which needs the
// run: block.
type stageNodes struct{ list *Node }

// UnmarshalNode keeps the list.
func (s *stageNodes) UnmarshalNode(n *Node) {
	switch {
	case n.Kind() != KindList:
		n.Problem(CodeWrongType, "write a list: - claim: ...", "want a list of stages, got %s", n.Kind())
	case len(n.Items()) == 0:
		n.Problem(CodeNoStages, "the first is a source, such as claim", "the pipeline has no stages")
	default:
		s.list = n
	}
}

// nameSyntax is what names of pipelines and stages look like; they become
// parts of metrics, spans and file names.
var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

const nameHint = "use letters, digits, dots, dashes and underscores, 63 at most, a letter or digit first"

// Load parses and checks a pipeline file. All problems are returned at once, in
// file order; the plan is nil if there is any. check, plan, test and run all
// come through here, so what check passes run accepts. src is the file's
// content; file is used in positions and its folder for relative paths.
func Load(file string, src []byte, set *Set) (*Plan, Problems) {
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		dir = filepath.Dir(file)
	}
	doc := node.Parse(file, dir, src)
	root := doc.Root()
	if root == nil {
		return nil, doc.Problems()
	}
	file1 := document{Run: DefaultRun()}
	root.Decode(&file1)
	checkHead(root, &file1)
	l := &loader{set: set, dir: dir, run: file1.Run, names: map[string]bool{}}
	plan := &Plan{File: file, Dir: dir, Name: file1.Name, Version: file1.Version, Run: file1.Run, Stages: l.stages(file1.Stages.list)}
	if problems := doc.Problems(); len(problems) > 0 {
		return nil, problems
	}
	plan.Source = root.Canonical()
	plan.Digest = DigestOf(plan.Source)
	plan.Secrets = doc.Secrets()
	return plan, nil
}

// LoadFile reads and loads a file. An unreadable file is a Problem too.
func LoadFile(file string, set *Set) (*Plan, Problems) {
	src, err := readFile(file)
	if err != nil {
		return nil, node.Missing(file, CodeUnreadable, "", "the file cannot be read: "+err.Error())
	}
	return Load(file, src, set)
}

// readFile reads one byte more than Load accepts, so that a huge file is
// refused by its size and not by the memory that it takes.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, node.MaxSize+1))
	return src, bare(err)
}

// bare strips the operation and the path, which the position says already.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// checkHead checks what the types of the first lines cannot say.
func checkHead(root *Node, d *document) {
	if root.Kind() != KindMap {
		return
	}
	if d.Waybill != "" && d.Waybill != Version {
		root.Lookup("waybill").Problem(CodeBadVersion, "write waybill: "+Version, "version %q of the file format is not known", d.Waybill)
	}
	if n := root.Lookup("name"); n.Path() == "name" && n.IsString() && !nameSyntax.MatchString(d.Name) {
		n.Problem(CodeBadName, nameHint, "%q cannot be the name of a pipeline", d.Name)
	}
}
