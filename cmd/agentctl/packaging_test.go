package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"agentctl/agent/config"
)

// Variables that the scripts and the compose file take, beside the program's.
var packagingVariables = map[string]bool{
	"AGENTCTL_IMAGE": true, "AGENTCTL_KEYS": true, "AGENTCTL_SUBNET": true,
	"AGENTCTL_CONFIG_FILE": true, // no setting, but where settings are
}

// TestPackagingVariables holds what the Dockerfile, the compose file, the unit
// and the manifests set against the settings: a wrong name would be ignored.
func TestPackagingVariables(t *testing.T) {
	known := maps.Clone(packagingVariables)
	for _, s := range config.Settings() {
		known[s.Env()] = true
	}
	found := 0
	err := filepath.WalkDir("../../scripts/packaging", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, name := range regexp.MustCompile(`AGENTCTL_[A-Z_]+`).FindAllString(string(text), -1) {
			if found++; !known[name] {
				t.Errorf("%s: there is no setting %s", path, name)
			}
		}
		return err
	})
	if err != nil || found < 10 {
		t.Errorf("%d variables found, %v", found, err)
	}
}
