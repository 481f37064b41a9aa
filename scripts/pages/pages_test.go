package pages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const page = "# A page\n" +
	"\n" +
	"See [the other](other/README.md#what-it-does), [above](#a-page), [a site](https://example.org/) and [a file](../LICENSE).\n" +
	"The flag `-x` takes `[a](b)`, and `agent/ops` is a folder.\n" +
	"\n" +
	"```\n" +
	"agentctl status\n" +
	"```\n" +
	"\n" +
	"1. A step:\n" +
	"   <!-- not run here: it needs a cluster -->\n" +
	"   ```sh\n" +
	"   kubectl get pods\n" +
	"     # [no link](nowhere)\n" +
	"   ```\n" +
	"\n" +
	"## What `it` does, and how?\n" +
	"\n" +
	"<!-- table of things: made from the code, change it there; run: old -->\n" +
	"| a |\n" +
	"<!-- end of the table -->\n"

func TestParse(t *testing.T) {
	got, err := Parse("agent/README.md", page)
	if err != nil {
		t.Fatal(err)
	}
	want := Page{
		Path: "agent/README.md",
		Text: page,
		Blocks: []Block{
			{Line: 6, Text: "agentctl status"},
			{Line: 12, Lang: "sh", Text: "kubectl get pods\n  # [no link](nowhere)", NotRun: "it needs a cluster"},
		},
		Links: []Link{
			{Line: 3, To: "other/README.md#what-it-does", Path: "agent/other/README.md", Anchor: "what-it-does"},
			{Line: 3, To: "#a-page", Path: "agent/README.md", Anchor: "a-page"},
			{Line: 3, To: "https://example.org/"},
			{Line: 3, To: "../LICENSE", Path: "LICENSE"},
		},
		Code: []Code{
			{Line: 4, Text: "-x"}, {Line: 4, Text: "[a](b)"}, {Line: 4, Text: "agent/ops"}, {Line: 17, Text: "it"},
		},
		Anchors: map[string]int{"a-page": 1, "what-it-does-and-how": 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, err := Parse("a.md", "text\n```\nagentctl\n"); err == nil || err.Error() != "a.md:2: the block has no end" {
		t.Errorf("a block without an end: %v", err)
	}
}

func TestTables(t *testing.T) {
	p, err := Parse("a.md", page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Table{{Name: "things", Text: "| a |\n"}}, p.Tables()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := p.WithTables(map[string]string{"others": "| b |\n"}, "run: new"); got != page {
		t.Errorf("a table that nobody has was replaced:\n%s", got)
	}
	changed, err := Parse("a.md", p.WithTables(map[string]string{"things": "| b |\n| c |\n"}, "run: new"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Table{{Name: "things", Text: "| b |\n| c |\n"}}, changed.Tables()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if back := changed.WithTables(map[string]string{"things": "| a |\n"}, "run: old"); back != page {
		t.Errorf("the rest of the page has changed:\n%s", cmp.Diff(page, back))
	}
}

func TestIsCommands(t *testing.T) {
	for text, want := range map[string]bool{
		"agentctl status":                          true,
		"# first\nsudo systemctl restart agentctl": true,
		"CGO_ENABLED=0 go build ./...":             true,
		"$ curl http://127.0.0.1/":                 true,
		"NODE  STATE\nagentctl ok":                 false,
		"serf_path = /opt/agentctl/serf":           false,
		"agentctls":                                false,
		"":                                         false,
	} {
		if got := (Block{Text: text}).IsCommands(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if (Block{Lang: "json", Text: "agentctl status"}).IsCommands() {
		t.Error("JSON passes for commands")
	}
}

func TestAll(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"README.md", "b/c/DESIGN.md", "b/notes.txt", ".github/SECURITY.md", ".git/a.md", "dist/a.md"} {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("# "+name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, err := All(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range all {
		got = append(got, p.Path)
	}
	if diff := cmp.Diff([]string{".github/SECURITY.md", "README.md", "b/c/DESIGN.md"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := os.WriteFile(filepath.Join(root, "broken.md"), []byte("```\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := All(root); err == nil {
		t.Error("a page with a block that has no end passes")
	}
}
