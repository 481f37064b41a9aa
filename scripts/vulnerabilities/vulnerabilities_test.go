package vulnerabilities

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// entry is a vulnerability that does not exist: url.Parse has it, in any Go.
const entry = `{"schema_version": "1.3.1", "id": "GO-2000-0001", "modified": "2000-01-01T00:00:00Z",
"summary": "A vulnerability for a test", "affected": [{"package": {"name": "stdlib", "ecosystem": "Go"},
"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
"ecosystem_specific": {"imports": [{"path": "net/url", "symbols": ["Parse"]}]}}],
"database_specific": {"url": "https://pkg.go.dev/vuln/GO-2000-0001"}}`

const (
	calls = "package main\nimport \"net/url\"\nfunc main() { println(url.Parse(\"a\")) }\n"
	spare = "package main\nimport \"net/url\"\nfunc main() { println(url.QueryEscape(\"a\")) }\n"
	wrong = "package main\nfunc main() { nothing() }\n"
)

// The exit statuses are those that scripts/vulnerabilities.sh gives.
func TestVulnerabilities(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: it builds govulncheck")
	}
	script, err := filepath.Abs("../vulnerabilities.sh")
	if err != nil {
		t.Fatal(err)
	}
	database := "file://" + files(t, map[string]string{
		"index/db.json":        `{"modified": "2000-01-01T00:00:00Z"}`,
		"index/modules.json":   `[{"path": "stdlib", "vulns": [{"id": "GO-2000-0001", "modified": "2000-01-01T00:00:00Z"}]}]`,
		"index/vulns.json":     `[{"id": "GO-2000-0001", "modified": "2000-01-01T00:00:00Z"}]`,
		"ID/GO-2000-0001.json": entry,
	})
	// These say that they are databases, but then do not tell what is in them.
	var over = make(chan struct{})
	broken := server(t, func() { panic(http.ErrAbortHandler) })
	silent := server(t, func() { <-over })
	t.Cleanup(func() { close(over) }) // before the servers end, which wait for their answers
	tools := t.TempDir()

	for _, test := range []struct {
		name, source string
		database     string
		status       int
		says         string
	}{
		{"a vulnerability is called", calls, database, 3, "GO-2000-0001"},
		{"it is imported only", spare, database, 0, ""},
		{"the code does not compile", wrong, database, 1, "nothing"},
		{"there is no such database", calls, database + "/none", 1, "none"},
		{"the database cannot be reached", calls, broken, 77, "fetching vulnerabilities"},
		{"the database does not answer", calls, silent, 77, "no result after 10 seconds"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command(script, "-db", test.database, "./...")
			cmd.Dir = files(t, map[string]string{"go.mod": "module example.com/a\n\ngo 1.26.0\n", "main.go": test.source})
			// The flags are those of scripts/check.sh, which builds the same.
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOWORK=off", "TOOLS="+tools, "LIMIT=300")
			if test.database == silent {
				cmd.Env = append(cmd.Env, "LIMIT=10")
			}
			out, err := cmd.CombinedOutput()
			status := 0
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				status = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if status != test.status || !strings.Contains(string(out), test.says) {
				t.Errorf("exit status %d; want %d, and %q in:\n%s", status, test.status, test.says, out)
			}
		})
	}
}

// server starts a server that a database seems to be behind. It answers a question for
// what is there, and then does what get does.
func server(t *testing.T, get func()) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead {
			get()
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// files makes a folder of files and returns it.
func files(t *testing.T, texts map[string]string) string {
	dir := t.TempDir()
	for name, text := range texts {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
