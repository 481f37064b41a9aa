package config

import (
	"reflect"
	"slices"
)

// reloadable are the settings that a running agent takes over.
var reloadable = []string{"event_handlers", "targets", "gateway", "native_handlers", "tags", "role", "log_level"}

// NeedRestart names the settings that differ and take effect only when the agent
// is started anew.
func NeedRestart(was, is *Options) (names []string) {
	for _, s := range settings {
		if slices.Contains(reloadable, s.Key) {
			continue
		}
		old, changed := reflect.ValueOf(s.pointer(was)).Elem(), reflect.ValueOf(s.pointer(is)).Elem()
		if !reflect.DeepEqual(old.Interface(), changed.Interface()) {
			names = append(names, s.Name())
		}
	}
	return names
}
