package config

import (
	"fmt"
	"strings"
)

// configVariables say where settings are.
var configVariables = []string{"AGENTCTL_CONFIG_FILE", "AGENTCTL_CONFIG_DIR"}

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
// not given.
func (c *compiler) applyEnviron(e environ) {
	for _, s := range settings {
		v := e[s.Env()]
		if v == "" {
			continue
		}
		c.locations.note(s.Key, s.Env())
		if err := s.setEnv(&c.opts, v); err != nil {
			c.problem(fmt.Errorf("%s: %w", s.Env(), err))
		}
	}
}
