package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// envPrefix is what the names of our variables begin with.
const envPrefix = "AGENTCTL_"

// Variables that are ours and no settings.
var (
	configVariables = []string{"AGENTCTL_CONFIG_FILE", "AGENTCTL_CONFIG_DIR"} // where settings are
	otherVariables  = []string{"AGENTCTL_SERF_VERSION"}                       // of other commands
	// What the compose file and the scripts take. They reach an agent that is
	// started from the same shell.
	scriptVariables = []string{"AGENTCTL_IMAGE", "AGENTCTL_KEYS", "AGENTCTL_SUBNET", "AGENTCTL_STOCK_SERF_DIR"}
)

// testPrefix is what the variables begin with that the program's tests take.
const testPrefix = envPrefix + "TEST_"

// environ is the variables of an environment, by name.
type environ map[string]string

func newEnviron(list []string) environ {
	e := environ{}
	for _, line := range list {
		if name, value, ok := strings.Cut(line, "="); ok {
			e[name] = value
		}
	}
	return e
}

// configPaths are the configuration files and folders that variables name.
func (e environ) configPaths() (paths []string) {
	for _, name := range configVariables {
		if v := e[name]; v != "" {
			paths = append(paths, v)
		}
	}
	return paths
}

// applyEnviron applies the variables of all settings, where one that is empty is
// not given, and warns of those that nobody takes.
func (c *compiler) applyEnviron(e environ) {
	for _, s := range settings {
		v := e[s.Env()]
		if v == "" {
			continue
		}
		c.locations.note(s.Key, s.Env())
		if q := v[0]; len(v) > 1 && (q == '"' || q == '\'') && v[len(v)-1] == q && !c.opts.AsSerf {
			c.warn(s.Env()+": its value begins and ends with a quote, which is part of it: remove both (docker keeps those of an --env-file)", "")
		}
		if err := s.setEnv(&c.opts, v); err != nil {
			c.problem(fmt.Errorf("%s: %w", s.Env(), err))
		}
	}
	for _, name := range e.unknown() {
		c.warn(fmt.Sprintf("%s: unknown variable%s", name, meantVariable(name)), "")
	}
}

// unknown are our variables that stand for nothing, in alphabetical order.
// Kubernetes makes variables for each service of a pod's namespace, from the
// service's name in capitals: those of one called agentctl, or agentctl-rpc, are
// nobody's mistake.
func (e environ) unknown() (names []string) {
	services := []string{"AGENTCTL"}
	for name := range e {
		if service, ok := strings.CutSuffix(name, "_SERVICE_HOST"); ok {
			services = append(services, service)
		}
	}
	known := slices.Concat(knownVariables(), scriptVariables)
	for _, name := range slices.Sorted(maps.Keys(e)) {
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, testPrefix) || slices.Contains(known, name) {
			continue
		}
		if !slices.ContainsFunc(services, func(service string) bool { return ofService(name, service) }) {
			names = append(names, name)
		}
	}
	return names
}

// ofService tells whether a variable is one that Kubernetes makes for a service.
func ofService(name, service string) bool {
	rest, ok := strings.CutPrefix(name, service)
	return ok && (rest == "_PORT" || strings.HasPrefix(rest, "_PORT_") || strings.HasPrefix(rest, "_SERVICE_"))
}

// knownVariables are the names of all variables that some command takes.
func knownVariables() []string {
	names := slices.Concat(configVariables, otherVariables)
	for _, s := range settings {
		names = append(names, s.Env())
	}
	return names
}

// meantVariable asks which variable a misspelt one was meant to be. The prefix
// that all have tells nothing.
func meantVariable(name string) string {
	var names []string
	for _, known := range knownVariables() {
		names = append(names, strings.TrimPrefix(known, envPrefix))
	}
	if meant := nearest(strings.TrimPrefix(name, envPrefix), names); meant != "" {
		return fmt.Sprintf(", did you mean %s%s?", envPrefix, meant)
	}
	return `; "agentctl agent -help" lists them`
}
