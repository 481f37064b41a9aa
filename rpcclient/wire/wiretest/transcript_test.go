package wiretest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteLoad(t *testing.T) {
	want := Transcript{
		Facts: map[string]string{"agent": "v0.11.0", "about": "two words"},
		Values: []Value{
			{FromClient: true, Data: []byte("\x81\xa1a\xa4x # "), Line: 3},
			{Data: []byte("\x91\xc4\x02\xff\xfe"), Line: 4},
		},
	}
	path := filepath.Join(t.TempDir(), "t")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := want.Write(f); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	text, _ := os.ReadFile(path)
	for _, line := range []string{`# {"a":"x # "}`, `# ["//4="]`} {
		if !strings.Contains(string(text), line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	for _, text := range []string{"> zz", "< ", "= 80", "> 8"} {
		path := filepath.Join(t.TempDir(), "t")
		if err := os.WriteFile(path, []byte("# first\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path+":2: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Error(err)
	}
}
