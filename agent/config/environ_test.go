package config

import (
	"slices"
	"testing"

	"agentctl/scripts/testkit"
)

// warningsOf are the warnings of a configuration with these variables.
func warningsOf(t *testing.T, variables ...string) []string {
	t.Helper()
	conf, err := Compile(Input{Defaults: changed(), Environ: append([]string{"PATH=/bin", "SERF_NOTHING=1"}, variables...)})
	if err != nil {
		t.Fatal(err)
	}
	return conf.Warnings
}

func TestUnknownVariablesAreWarnedOf(t *testing.T) {
	for line, want := range map[string]string{
		"AGENTCTL_RETRY_JION=a":       "AGENTCTL_RETRY_JION: unknown variable, did you mean AGENTCTL_RETRY_JOIN?",
		"AGENTCTL_NODE_NAME=hidden":   `AGENTCTL_NODE_NAME: unknown variable; "agentctl agent -help" lists them`,
		"AGENTCTL_CONFIGFILE=x":       "AGENTCTL_CONFIGFILE: unknown variable, did you mean AGENTCTL_CONFIG_FILE?",
		"AGENTCTL_bind=x":             "AGENTCTL_bind: unknown variable, did you mean AGENTCTL_BIND?",
		"AGENTCTL_QUITE_ANOTHER_THIN": "", // not NAME=VALUE
		"AGENTCTL_=":                  `AGENTCTL_: unknown variable; "agentctl agent -help" lists them`,
		"AGENTCTL_PORTS=1":            `AGENTCTL_PORTS: unknown variable; "agentctl agent -help" lists them`,
	} {
		var wanted []string
		if want != "" {
			wanted = []string{want}
		}
		testkit.Want(t, line, warningsOf(t, line), wanted)
	}
	testkit.Want(t, "two", len(warningsOf(t, "AGENTCTL_B=", "AGENTCTL_A=")), 2)
}

func TestKnownVariablesAreNotWarnedOf(t *testing.T) {
	known := []string{
		"AGENTCTL_SERF_VERSION=0.7.0", "AGENTCTL_TEST_CRASH_KILLS=3", "AGENTCTL_STOCK_SERF_DIR=/d", "AGENTCTL_IMAGE=i",
		// Of Kubernetes, for a service called agentctl.
		"AGENTCTL_PORT=tcp://10.0.0.1:7373", "AGENTCTL_PORT_7373_TCP=tcp://10.0.0.1:7373", "AGENTCTL_PORT_7373_TCP_ADDR=10.0.0.1",
		"AGENTCTL_SERVICE_HOST=10.0.0.1", "AGENTCTL_SERVICE_PORT=7373", "AGENTCTL_SERVICE_PORT_RPC=7373",
		// And for one called agentctl-rpc.
		"AGENTCTL_RPC_PORT=tcp://10.0.0.1:7373", "AGENTCTL_RPC_PORT_7373_TCP_PROTO=tcp", "AGENTCTL_RPC_SERVICE_HOST=10.0.0.1", "AGENTCTL_RPC_SERVICE_PORT=7373",
	}
	for _, s := range Settings() {
		known = append(known, s.Env()+"=") // empty: not given
	}
	if got := warningsOf(t, known...); len(got) > 0 {
		t.Errorf("warnings %q", got)
	}
	// Without such a service, its port is a mistake.
	if got := warningsOf(t, "AGENTCTL_RPC_PORT=7373"); len(got) != 1 {
		t.Errorf("warnings %q", got)
	}
}

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
