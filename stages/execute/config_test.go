package execute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
	"github.com/waybill-dev/waybill/stages/execute"
)

// load loads a pipeline with the stage; the stage's config begins in line 6.
func load(config string) (*pipeline.Plan, pipeline.Problems) {
	text := "waybill: v1\nname: test\nstages:\n  - source:\n  - execute:\n"
	for line := range strings.Lines(strings.Trim(config, "\n") + "\n") {
		text += "      " + line
	}
	set := pipeline.NewSet(execute.Def(), pipelinetest.SourceDef(pipelinetest.NewSource()))
	return pipeline.Load("test.yaml", []byte(text), set)
}

func TestProblemsHavePlaces(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{"steps:\n  - navigat: x", `7:11 unknown-key: unknown key "navigat"`},
		{"steps:\n  - navigate: x\n    click: y", `8:11 two-steps: "click" in the step "navigate": a step does one thing`},
		{"steps:\n  - navigate: { url: x, timeout: 3s }", `7:31 unknown-key: unknown key "timeout" in the step "navigate"`},
		{"steps:\n  - click: { selectors: a, optional: true }", `7:34 unknown-key: unknown key "optional" in the step "click"`},
		{"steps:\n  - timeout: 3s", `7:11 no-step: there is no step name`},
		{"steps:\n  - navigate: { url: x, expectstatus: 200 }", `7:31 unknown-key: unknown key "expectstatus"`},
		{"steps:\n  - navigate: { url: x, expectStatus: ok }", `7:45 bad-value: want an HTTP status or a range of them`},
		{"steps:\n  - click: { selectors: [\"aria/Next[id=x]\"] }", `7:32 bad-selector: aria/Next[id=x]: aria/ knows [role=...] and [name=...], not [id]`},
		{"steps:\n  - type: { selectors: a }", `7:11 missing-key: the key "text" is required`},
		{"steps:\n  - type: { selectors: a, text: b, value: c }", `7:49 bad-value: text and value mean the same`},
		{"steps:\n  - extract: { t: { css: a, xpath: b } }", `7:25 missing-key: want exactly one of css, xpath and containing`},
		{"steps:\n  - extract: { t: { css: a, attr: x, html: true } }", `7:25 bad-value: want at most one of attr, text, html, number, value`},
		{"steps:\n  - evaluate: { script: \"f('${{ item.id }}')\" }", `7:35 expression-in-script: an item's data must not become code`},
		{"steps:\n  - screenshot: { as: a.png, fullPage: true, selector: p }", `7:62 bad-value: fullPage and selector exclude each other`},
		{"steps:\n  - assert: { message: x }", `7:19 no-condition: there is nothing to assert`},
		{"steps:\n  - navigate: ${{ item.bodi.url }}", `7:30 bad-expression: item has no field bodi`},
		{"steps:\n  - navigate: x\n    timeout: 0s", `8:20 out-of-range: a timeout must be more than 0`},
		{"steps:\n  - press: Control+Entr", `7:18 bad-value: there is no key "Entr"`},
		{"steps:\n  - emulate: iPhone 130", `7:20 bad-value: there is no device "iPhone 130"`},
		{"steps:\n  - click: { selectors: a, offsetX: 3 }", `7:18 missing-key: offsetX and offsetY belong together`},
		{"steps:\n  - repeat: { max: 2, steps: [{ clik: a }] }", `7:39 unknown-key: unknown key "clik"`},
		{"steps:\n  - if: { selector: a, then: [{ click: a }], els: [] }", `7:52 unknown-key: unknown key "els"`},
		{"steps:\n  - if: { then: [{ click: a }] }", `7:15 no-condition: there is nothing to assert`},
		{"steps:\n  - click: a\n    expect: { tittle: x }", `8:21 unknown-key: unknown key "tittle"`},
		{"steps:\n  - click: a\n    when: item.bodi.x", `8:22 bad-expression: item has no field bodi`},
		{"steps:\n  - click: { selectors: a, target: other }", `7:42 unsupported-target: only the target main can be driven`},
		{"steps:\n  - click: { selectors: a, frame: -1 }", `7:41 wrong-type: want a frame`},
		{"steps:\n  - close:\n  - click: a", `8:11 after-close: the page is closed before this step`},
		{"steps:\n  - upload: { selectors: a, from: nowhere, files: [x] }", `7:41 bad-value: there is no folder "nowhere"`},
		{"steps:\n  - download: { as: x }", `7:21 missing-key: want exactly one of selectors and url`},
		{"steps:\n  - headers: { \"a b\": c }", `7:22 bad-key: "a b" cannot be the name of a header`},
		{"steps:\n  - customStep: { name: pdf, parameters: {} }", `7:31 unknown-custom-step: there is no custom step "pdf"`},
		{"steps:\n  - cookies: { clear: true, only: [a] }", `7:20 missing-key: only and urls are about get`},
		{"steps: []", `6:14 empty-value: there is no step`},
		{"browser: { args: [--no-sandbox] }\nsteps:\n  - navigate: x", `6:24 flag-refused: the flag --no-sandbox is refused`},
		{"browser: { sandbox: maybe }\nsteps:\n  - navigate: x", `6:27 bad-value: `},
	} {
		_, problems := load(c.config)
		if len(problems) != 1 {
			t.Errorf("%s\nwant one problem, got:\n%v", c.config, problems)
			continue
		}
		p := problems[0]
		if got := fmt.Sprintf("%d:%d %s: %s", p.Line, p.Col, p.Code, p.Message); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s\n got %s\nwant %s", c.config, got, c.want)
		}
	}
}

// Chrome has a thousand flags, and new ones with each release: what is not
// known to be harmless is refused.
func TestFlagsAreAllowListed(t *testing.T) {
	flag := func(arg string) pipeline.Problems {
		_, problems := load("browser: { args: [\"" + arg + "\"] }\nsteps:\n  - navigate: x")
		return problems
	}
	for _, arg := range []string{"--lang=de", "--font-render-hinting=none"} {
		if problems := flag(arg); len(problems) > 0 {
			t.Errorf("%s: %v", arg, problems)
		}
	}
	for _, arg := range []string{"--proxy-server=http://127.0.0.1:3128", "--proxy-bypass-list=*", "--host-resolver-rules=MAP example.com 127.0.0.1:8080", "--browser-subprocess-path=/bin/sh", "--renderer-cmd-prefix=sh", "--utility-cmd-prefix=sh", "--load-extension=/x",
		"--allow-file-access-from-files", "--disable-seccomp-filter-sandbox", "--disable-namespace-sandbox", "--remote-debugging-port=9222",
		"--user-data-dir=/x", "--blink-settings=webSecurityEnabled=false", "--LANG=de", "--lang --no-sandbox"} {
		if problems := flag(arg); len(problems) != 1 || problems[0].Code != "flag-refused" || !strings.Contains(problems[0].Hint, "--lang") {
			t.Errorf("%s: %v", arg, problems)
		}
	}
}

func TestUnknownStepSuggestsTheNearest(t *testing.T) {
	_, problems := load("steps:\n  - waitForElemnt: main")
	if len(problems) != 1 || !strings.Contains(problems[0].Hint, "waitForElement") {
		t.Errorf("got %v", problems)
	}
}

func FuzzStep(f *testing.F) {
	f.Add("navigate: x")
	f.Add("extract: { a: { css: b } }")
	f.Add("assert: { status: [200, 300-399] }\ntimeout: 1s")
	f.Fuzz(func(_ *testing.T, step string) {
		_, _ = load("steps:\n  - " + strings.ReplaceAll(step, "\n", "\n    "))
	})
}
