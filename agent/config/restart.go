package config

import (
	"reflect"
	"slices"
)

// reloadable are the settings that a running agent takes over.
var reloadable = []string{"event_handlers", "targets", "gateway", "native_handlers", "tags", "role", "log_level"}

// NeedRestart names the settings that another configuration has otherwise, and
// that take effect only when the agent is started anew.
func (c *Config) NeedRestart(other *Config) (names []string) {
	for _, s := range settings {
		if slices.Contains(reloadable, s.Key) {
			continue
		}
		was, is := reflect.ValueOf(s.pointer(&c.Options)).Elem(), reflect.ValueOf(s.pointer(&other.Options)).Elem()
		if !reflect.DeepEqual(was.Interface(), is.Interface()) {
			names = append(names, s.name())
		}
	}
	return names
}
