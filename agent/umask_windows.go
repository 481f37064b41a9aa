package agent

// privateUmask does nothing: there is no umask.
func privateUmask() (restore func()) { return func() {} }
