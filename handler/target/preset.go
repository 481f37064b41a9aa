package target

import (
	"maps"
	"slices"
	"strings"

	"agentctl/handler/template"
)

// Preset is a Target for one kind of gateway or cache, less the address: its URLs
// are only paths.
type Preset struct {
	Name  string
	About string // says in a few words what an event does there
	Needs string // says which fields of an event's JSON it takes
	Target
}

// DefaultPreset is the preset of a target that names none.
const DefaultPreset = "http"

// Presets returns all presets, in the order in which they are shown. The caller
// must not change the maps and slices in them.
func Presets() []Preset { return slices.Clone(presets) }

// PresetNames returns the names of all presets, in the same order.
func PresetNames() []string {
	all := make([]string, len(presets))
	for i, p := range presets {
		all[i] = p.Name
	}
	return all
}

// FindPreset returns the preset of a name; "" is the default's.
func FindPreset(name string) (Preset, bool) {
	if name == "" {
		name = DefaultPreset
	}
	for _, p := range presets {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}

// At returns the preset's target at an address, a URL. If the address has a path,
// that replaces the preset's. A lone slash does not replace a path that is a
// template, because then all events would ask for the same.
func (p Preset) At(address string) Target {
	t := p.Target
	t.Header = maps.Clone(t.Header)
	origin, path := cutOrigin(address)
	if t.URL == "" || address == "" { // Validate reports a missing address
		t.URL = address
		return t
	}
	if path == "" || path == "/" && template.HasPlaceholder(t.URL) {
		path = t.URL
	}
	t.URL = origin + path
	if t.Flush != nil {
		flush := *t.Flush
		if flush.URL != "" {
			flush.URL = origin + flush.URL
		}
		t.Flush = &flush
	}
	return t
}

// cutOrigin cuts a URL before its path, or query.
func cutOrigin(address string) (origin, path string) {
	if rest, ok := strings.CutPrefix(address, "unix:"); ok {
		socket, path, _ := strings.Cut(rest, ":")
		return "unix:" + socket + ":", path
	}
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address, ""
	}
	i := strings.IndexAny(rest, "/?#{")
	if i < 0 {
		return address, ""
	}
	return address[:len(address)-len(rest)+i], rest[i:]
}
