from multiprocessing import Manager

manager = Manager()
table = manager.dict()
