package testenv

// For tests in testenv_test.
var (
	Alive           = alive
	GenerateNetwork = generateNetwork
)
