// Package presets tests real caches and servers, as the presets of targets address them.
package presets
