package config

import (
	"slices"
	"testing"

	"agentctl/scripts/testkit"
)

func TestVariablesNameConfigurationFiles(t *testing.T) {
	one, two := testkit.WriteFile(t, `{"node_name": "one", "start_join": ["a"]}`), testkit.WriteFile(t, `{"node_name": "two", "start_join": ["b"]}`)
	conf, err := Compile(Input{Defaults: DefaultOptions(), Environ: []string{"AGENTCTL_CONFIG_FILE=" + one}, Files: []string{two}})
	if err != nil {
		t.Fatal(err)
	}
	if conf.NodeName != "two" || !slices.Equal(conf.StartJoin, []string{"a", "b"}) {
		t.Errorf("node %q, joins %v", conf.NodeName, conf.StartJoin)
	}
}
