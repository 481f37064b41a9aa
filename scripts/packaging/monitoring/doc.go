// Package monitoring checks the files beside it: the Grafana dashboard and the
// alert rules for Prometheus. It is a module of its own, because Prometheus'
// parser is large and no part of the program needs it.
package monitoring
