package execute_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

var peers = flag.String("peers", "", "folder that scripts/capture-peers made; without it other people's readers are not asked")

// What others say of our captures (make peers): har-validator of a HAR, and wabac,
// the player inside ReplayWeb.page, of a WACZ.
func TestPeersReadCaptures(t *testing.T) {
	if *peers == "" {
		t.Skip("make peers asks other people's readers")
	}
	url, _, asked := shop(t)
	it := pipelinetest.Item(map[string]any{"url": url + "/go"})
	if err := launch(t, "network: { private: true }\ncapture: [har, wacz]\n"+shopSteps).Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	before := asked.Load()
	t.Run("har-validator", func(t *testing.T) { validateHAR(t, it.Artifact("capture.har").Data) })
	t.Run("wabac", func(t *testing.T) { play(t, it.Artifact("capture.wacz").Data, url) })
	if n := asked.Load(); n != before {
		t.Errorf("the site was asked %d times", n-before)
	}
}

func validateHAR(t *testing.T, har []byte) {
	t.Helper()
	validate := func(har []byte) error {
		const script = `const fs = require("fs"); require("har-validator").har(JSON.parse(fs.readFileSync(0))).catch((e) => { console.error(JSON.stringify(e.errors ?? String(e))); process.exit(1) })`
		cmd := exec.CommandContext(t.Context(), "node", "-e", script)
		cmd.Dir, cmd.Stdin = *peers, bytes.NewReader(har)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := validate(har); err != nil {
		t.Error(err)
	}
	if validate(bytes.Replace(har, []byte(`"startedDateTime"`), []byte(`"started"`), 1)) == nil {
		t.Error("it takes a HAR without a date")
	}
}

// player registers wabac's service worker, gives it the archive, and shows a page of
// it in a frame.
const player = `<!doctype html><title>Player</title><iframe id=page></iframe><script>
const said = (type) => new Promise((resolve) => navigator.serviceWorker.addEventListener("message", (m) => { if (m.data.msg_type === type) resolve(m.data) }));
(async () => {
	await navigator.serviceWorker.register("/sw.js?useHashCheck=1");
	const { active } = await navigator.serviceWorker.ready;
	const added = said("collAdded");
	active.postMessage({ msg_type: "addColl", name: "c", file: { sourceUrl: location.origin + "/capture.wacz" } });
	await added;
	page.src = "/w/c/mp_/" + decodeURIComponent(location.hash.slice(1));
	page.onload = () => { document.body.dataset.shown = 1 };
})();
</script>`

func play(t *testing.T, wacz []byte, url string) {
	t.Helper()
	worker, err := os.ReadFile(filepath.Join(*peers, "wabac", "package", "dist", "sw.js"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		files := map[string]string{"/": player, "/sw.js": string(worker), "/capture.wacz": string(wacz)}
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		media := map[string]string{"/": "text/html", "/sw.js": "text/javascript", "/capture.wacz": "application/wacz"}[r.URL.Path]
		w.Header().Set("Content-Type", media)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	it := pipelinetest.Item(map[string]any{"player": srv.URL + "/#" + url + "/go"})
	err = launch(t, `network: { private: true }
steps:
  - navigate: ${{ item.body.player }}
  - waitForElement: "[data-shown]"
  - waitForElement: { selectors: h1, frame: 0 }
  - waitForElement: { selectors: "[data-ready]", frame: 0 }
  - evaluate: { as: shown, script: "(({ contentDocument: d }) => ({ title: d.title, price: d.querySelector('#price').textContent, picture: d.images[0].naturalWidth, frame: d.querySelector('iframe').contentDocument.body.innerText.trim() }))(page)" }
  - evaluate: { as: archive, script: "fetch('/w/api/c/c?all=1').then((r) => r.json())" }
`).Process(t.Context(), it)
	if err != nil {
		t.Fatal(err)
	}
	body := bodyOf(t, it)
	if diff := cmp.Diff(map[string]any{"title": "Shop", "price": "41", "picture": 9, "frame": "frame"}, body["shown"]); diff != "" {
		t.Error(diff)
	}
	archive := body["archive"].(map[string]any)
	if pages := archive["pages"].([]any); len(pages) != 1 || pages[0].(map[string]any)["url"] != url+"/shop" {
		t.Errorf("its pages: %v", pages)
	}
	if diff := cmp.Diff(map[string]any{"numInvalid": 0, "numValid": 2}, archive["verify"]); diff != "" {
		t.Errorf("its digests: %s", diff)
	}
}
