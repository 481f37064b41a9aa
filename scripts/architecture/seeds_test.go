package architecture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The fuzzer reads the inputs of a target from a folder with the target's name. After
// the target is renamed or moved, nobody reads them, and nothing fails.
func TestFuzzInputsHaveATarget(t *testing.T) {
	found := 0
	for _, p := range packages(t) {
		inputs, err := filepath.Glob(filepath.Join(p.Dir, "testdata/fuzz/*"))
		if err != nil {
			t.Fatal(err)
		}
		tests, err := filepath.Glob(filepath.Join(p.Dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		var code strings.Builder
		for _, file := range tests {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(text)
		}
		for _, dir := range inputs {
			if found++; !strings.Contains(code.String(), "func "+filepath.Base(dir)+"(") {
				t.Errorf("%s: there is no such fuzz target in %s", dir, p.name())
			}
		}
	}
	if found == 0 {
		t.Error("no folder of inputs was found")
	}
}
