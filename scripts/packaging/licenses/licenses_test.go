package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// program returns what is compiled into the program. The folder is that of the source.
var program = sync.OnceValues(func() ([]part, error) {
	if err := os.Chdir("../../.."); err != nil {
		return nil, err
	}
	return compiled("./cmd/agentctl")
})

func parts(t *testing.T) []part {
	t.Helper()
	p, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEachPartHasItsLicences(t *testing.T) {
	for name, want := range map[string]struct{ ids, file, text string }{
		"agentctl":                            {"Apache-2.0", "LICENSE", "Apache License"},
		"Go's runtime and standard library":   {"BSD-3-Clause", "PATENTS", "Additional IP Rights Grant"},
		"github.com/hashicorp/serf":           {"MPL-2.0", "LICENSE", "Mozilla Public License, version 2.0"},
		"github.com/sean-/seed":               {"BSD-3-Clause MIT", "LICENSE", "Bits of Go-lang"},
		"github.com/coreos/go-systemd/v22":    {"Apache-2.0", "NOTICE", "CoreOS, Inc"},
		"github.com/bgentry/speakeasy":        {"Apache-2.0 MIT", "LICENSE_WINDOWS", "Apache License"},
		"github.com/prometheus/client_golang": {"Apache-2.0 BSD-3-Clause", "internal/github.com/golang/gddo/LICENSE", "The Go Authors"},
		"github.com/hashicorp/go-metrics":     {"MIT", "LICENSE", "Permission is hereby granted"},
	} {
		i := slices.IndexFunc(parts(t), func(p part) bool { return p.name == name })
		if i < 0 {
			t.Errorf("%s is not there", name)
			continue
		}
		p := parts(t)[i]
		if got := strings.Join(p.ids, " "); got != want.ids {
			t.Errorf("%s has the licences %q, not %q", name, got, want.ids)
		}
		if !strings.Contains(p.files[want.file], want.text) {
			t.Errorf("%s: %s does not say %q", name, want.file, want.text)
		}
		if name != "agentctl" && p.version == "" {
			t.Errorf("%s has no version", name)
		}
	}
}

func TestThePageHasEachText(t *testing.T) {
	var page bytes.Buffer
	write(&page, parts(t))
	for _, p := range parts(t) {
		for file, text := range p.files {
			if !strings.Contains(page.String(), "\n"+p.name+": "+file+"\n") || !strings.Contains(page.String(), strings.TrimSpace(text)) {
				t.Errorf("%s: %s is not on the page", p.name, file)
			}
		}
	}
}

// What packages and image declare is what they hold.
func TestLicencesAreDeclared(t *testing.T) {
	want := expression(parts(t))
	for file, line := range map[string]string{
		"scripts/packaging/package/nfpm.yaml":    "license: " + want + "\n",
		"scripts/packaging/container/Dockerfile": `org.opencontainers.image.licenses="` + want + `"`,
	} {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), line) {
			t.Errorf("%s lacks the line %s (%v)", file, line, err)
		}
	}
}

// A text is a licence as a whole, with nothing taken away or put in.
func TestOtherTermsAreRefused(t *testing.T) {
	for _, p := range parts(t) {
		for file, text := range p.files {
			if !licence.MatchString(filepath.Base(file)) {
				continue
			}
			terms := strings.LastIndex(strings.ToLower(text), "liab")
			for name, changed := range map[string]string{
				"a word in the middle": text[:terms] + " not " + text[terms:],
				"its end cut off":      text[:terms],
				"more conditions":      text + strings.Repeat(" You may not sell it.", 20),
			} {
				if name != "more conditions" && len(p.ids) > 1 {
					continue // the file has another licence, which is whole
				}
				if ids, err := identify(changed); err == nil {
					t.Errorf("%s: %s with %s passes as %v", p.name, file, name, ids)
				}
			}
		}
	}
	for _, text := range []string{"", "GNU General Public License, version 3", "All rights reserved."} {
		if ids, err := identify(text); err == nil {
			t.Errorf("%q passes as %v", text, ids)
		}
	}
}

func TestAModuleNeedsALicence(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"NOTICE": "A product", "license.go": "package a", "README.md": "MIT"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := module{Path: "example.com/a", Version: "v1.0.0", Dir: dir}
	if _, err := read(m, []string{dir}); err == nil || !strings.Contains(err.Error(), "example.com/a v1.0.0 has no licence") {
		t.Errorf("without a licence: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "COPYING"), []byte("Ask me first."), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(m, []string{dir}); err == nil || !strings.Contains(err.Error(), "COPYING: this licence is not known") {
		t.Errorf("with an unknown licence: %v", err)
	}
}
