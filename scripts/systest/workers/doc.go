// Package workers tests a gateway of several workers, which is a real nginx with Lua: an event has to reach the cache of each worker.
package workers
