package capability

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSet(t *testing.T) {
	var none Set
	h, err := NewHTTP(HTTPConfig{Hosts: []string{"api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	all := Set{HTTP: h, Blob: NewBlob(t.TempDir(), 0), Secrets: map[string]string{"token": "abc"}, State: &StateConfig{}}
	for _, name := range Names() {
		if none.Has(name) || !all.Has(name) {
			t.Errorf("%s: none %t, all %t", name, none.Has(name), all.Has(name))
		}
	}
	if all.Has("log") || !slices.IsSorted(Names()) {
		t.Error("names")
	}
	if none.NewState() != nil || all.NewState() == nil {
		t.Error("states")
	}
	none.Close()
	all.Close()
}

func TestSecrets(t *testing.T) {
	granted := Set{Secrets: map[string]string{"token": "abc", "empty": ""}}
	for name, want := range map[string]string{"token": "abc", "empty": ""} {
		if got, err := granted.Secret(name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := granted.Secret("Token"); CodeOf(err) != NotFound {
		t.Errorf("an unknown secret: %v", err)
	}
	if _, err := (Set{}).Secret("token"); CodeOf(err) != Denied || err.Error() != "secret is not granted" {
		t.Errorf("without a grant: %v", err)
	}
}

func TestCodeOf(t *testing.T) {
	if CodeOf(errors.New("x")) != Failed || CodeOf(fmt.Errorf("wrapped: %w", NotGranted("http"))) != Denied {
		t.Error("codes")
	}
}
