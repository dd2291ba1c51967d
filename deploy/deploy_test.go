package deploy

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"gopkg.in/yaml.v3"

	"github.com/waybill-dev/waybill/runtime/cli"
	"github.com/waybill-dev/waybill/stages"
)

type service struct {
	Command     []string
	Environment map[string]string
	Volumes     []string
	Build       struct{ Context, Dockerfile string }
	DependsOn   map[string]any `yaml:"depends_on"`
}

func compose(t *testing.T) map[string]service {
	t.Helper()
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]service
		Volumes  map[string]any
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for name, s := range file.Services {
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, ".") {
				if _, err := os.Stat(from); err != nil {
					t.Errorf("%s mounts %s: %v", name, from, err)
				}
			} else if _, ok := file.Volumes[from]; !ok {
				t.Errorf("%s mounts %s, which is no volume of the file", name, from)
			}
		}
	}
	return file.Services
}

// TestNodes reads nats.conf with each node's environment, as the server does.
func TestNodes(t *testing.T) {
	services := compose(t)
	nodes := []string{"a", "b", "c"}
	for _, name := range nodes {
		t.Run(name, func(t *testing.T) {
			for k, v := range services[name].Environment {
				t.Setenv(k, v)
			}
			o, err := server.ProcessConfigFile("nats.conf")
			if err != nil {
				t.Fatal(err)
			}
			if o.ServerName != name || !o.JetStream || !o.SyncAlways || o.MaxPayload < 2<<20 || o.Cluster.Name == "" {
				t.Errorf("name %q, JetStream %t, sync always %t, payload %d, cluster %q", o.ServerName, o.JetStream, o.SyncAlways, o.MaxPayload, o.Cluster.Name)
			}
			var peers []string
			for _, r := range o.Routes {
				peers = append(peers, r.Hostname())
				if r.Port() != "6222" || o.Cluster.Port != 6222 {
					t.Errorf("route %s, but the cluster listens on %d", r, o.Cluster.Port)
				}
			}
			want := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == name })
			if !slices.Equal(peers, want) {
				t.Errorf("peers %v, want %v", peers, want)
			}
		})
	}
}

// TestPipeline checks the workers' pipeline as `waybill check` does, as it is and
// with each of the claims that docs/machines.md shows.
func TestPipeline(t *testing.T) {
	text, err := os.ReadFile("pipeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/machines.md")
	if err != nil {
		t.Fatal(err)
	}
	claim := regexp.MustCompile(`(?m)^ *- claim: .*$`)
	shown := claim.FindAllString(string(page), -1)
	if len(shown) != 3 {
		t.Fatalf("docs/machines.md shows %d claims, want 3", len(shown))
	}
	for _, line := range append(shown, claim.FindString(string(text))) {
		path := filepath.Join(t.TempDir(), "pipeline.yaml")
		changed := claim.ReplaceAllLiteralString(string(text), "  "+strings.TrimSpace(line))
		if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		parts := cli.Parts{Defs: stages.All(), Queues: stages.Queues(), Objects: stages.Stores()}
		if code := cli.Run(t.Context(), parts, []string{"check", path}, strings.NewReader(""), &stdout, &stderr); code != 0 {
			t.Errorf("%s: exit %d: %s%s", line, code, &stdout, &stderr)
		}
	}
}

// TestWorker holds the worker to the nodes that there are and the files that are
// built and mounted.
func TestWorker(t *testing.T) {
	services := compose(t)
	w := services["worker"]
	if _, err := os.Stat(filepath.Join(w.Build.Context, w.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile("pipeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for node := range w.DependsOn {
		if _, ok := services[node]; !ok {
			t.Errorf("the worker waits for %s, which is no service", node)
		}
		if !strings.Contains(string(text), node+":4222") {
			t.Errorf("the pipeline does not know node %s", node)
		}
	}
	if len(w.DependsOn) != 3 || len(w.Command) < 2 || w.Command[0] != "run" || !slices.Contains(w.Volumes, "./pipeline.yaml:"+w.Command[1]+":ro") {
		t.Errorf("the worker runs %v with %v, waiting for %v", w.Command, w.Volumes, w.DependsOn)
	}
}
