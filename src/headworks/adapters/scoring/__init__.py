"""The program that runs other libraries' metrics, in an interpreter of its own which need not have Headworks."""
