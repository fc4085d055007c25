package reach_test

import (
	"fmt"

	"github.com/freshet/freshet/store/reach"
)

func Example() {
	set, _ := reach.Parse(nil) // nothing is stored yet
	set.Add(0x9ae16a3b2f90404f)
	set.Add(0x9ae16a3b2f90404f)
	set.Add(0x3c6ef372fe94f82b)
	set, _ = reach.Parse(set.Bytes())
	fmt.Println(set.Count())
	// Output: 2
}
