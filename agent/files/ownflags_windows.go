package files

const ownFlags = 0
